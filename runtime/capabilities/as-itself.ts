/** How a file is opened to be looked at: the thing itself, through no link at its end. Linux only. */
import { constants } from 'node:fs'

/** It needs no right to read and touches nothing: no device wakes up, no pipe waits. Node has no name for it. */
const O_PATH = 0o10000000
export const asItself = O_PATH | constants.O_NOFOLLOW
