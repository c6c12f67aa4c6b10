import { createMemoryStore } from '../../runtime/store/memory.ts'
import { testStore } from '../conformance/store.ts'

testStore('memory', async (test, clock) => {
  const store = createMemoryStore({ clock })
  test.after(() => store.close())
  return store
})
