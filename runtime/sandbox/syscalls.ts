/**
 * Which calls of the Linux kernel a sandbox process may make. Rows are `name:number on x86-64:number on arm64`, `-` where an
 * architecture has none. What stands nowhere here does not exist for the process: libraries then take their older way.
 */

/** What V8, libuv, libc and the loader need once the process runs: memory, threads, time, and descriptors it holds already. */
const allowedRows = `
  mmap:9:222 mprotect:10:226 munmap:11:215 mremap:25:216 madvise:28:233 brk:12:214 msync:26:227 membarrier:324:283
  mlock:149:228 munlock:150:229 pkey_alloc:330:289 pkey_free:331:290 pkey_mprotect:329:288 set_tid_address:218:96
  set_robust_list:273:99 get_robust_list:274:100 rseq:334:293 futex:202:98 futex_waitv:449:449 exit:60:93
  exit_group:231:94 gettid:186:178 getpid:39:172 getppid:110:173 sched_yield:24:124 sched_getaffinity:204:123
  sched_getparam:143:121 sched_getscheduler:145:120 getpriority:140:141 getcpu:309:168 rt_sigaction:13:134
  rt_sigprocmask:14:135 rt_sigreturn:15:139 rt_sigtimedwait:128:137 rt_sigpending:127:136 rt_sigsuspend:130:133
  sigaltstack:131:132 restart_syscall:219:128 pause:34:- kill:62:129 tkill:200:130 tgkill:234:131
  clock_gettime:228:113 clock_getres:229:114 clock_nanosleep:230:115 nanosleep:35:101 gettimeofday:96:169 time:201:-
  times:100:153 read:0:63 write:1:64 readv:19:65 writev:20:66 pread64:17:67 pwrite64:18:68 preadv:295:69
  pwritev:296:70 close:3:57 close_range:436:436 dup:32:23 dup2:33:- dup3:292:24 fcntl:72:25 lseek:8:62 pipe:22:-
  pipe2:293:59 poll:7:- ppoll:271:73 select:23:- pselect6:270:72 epoll_create:213:- epoll_create1:291:20
  epoll_ctl:233:21 epoll_wait:232:- epoll_pwait:281:22 epoll_pwait2:441:441 eventfd:284:- eventfd2:290:19 open:2:-
  openat:257:56 access:21:- faccessat:269:48 faccessat2:439:439 readlink:89:- readlinkat:267:78 getcwd:79:17
  getdents64:217:61 fadvise64:221:223 stat:4:- lstat:6:- fstat:5:80 newfstatat:262:79 statx:332:291
  getsockname:51:204 getpeername:52:205 getsockopt:55:209 setsockopt:54:208 shutdown:48:210 recvfrom:45:207
  recvmsg:47:212 sendto:44:206 sendmsg:46:211 uname:63:160 sysinfo:99:179 getrusage:98:165 getrlimit:97:163
  getuid:102:174 geteuid:107:175 getgid:104:176 getegid:108:177 getresuid:118:148 getresgid:120:150
  getgroups:115:158 capget:125:90 capset:126:91 setresuid:117:147 setresgid:119:149 setreuid:113:145
  setregid:114:143 setgroups:116:159 arch_prctl:158:- prctl:157:167 getrandom:318:278 execve:59:221 wait4:61:260
`

/** Refused by name, so that what tries them is told so; a new call of a later kernel is refused without being named. */
const refusedRows = `
  fork:57:- vfork:58:- execveat:322:281 ptrace:101:117 process_vm_readv:310:270 process_vm_writev:311:271
  process_madvise:440:440 kcmp:312:272 pidfd_open:434:434 pidfd_getfd:438:438 pidfd_send_signal:424:424
  rt_sigqueueinfo:129:138 rt_tgsigqueueinfo:297:240 bpf:321:280 userfaultfd:323:282 io_uring_setup:425:425
  io_uring_enter:426:426 io_uring_register:427:427 io_setup:206:0 io_submit:209:2 perf_event_open:298:241
  keyctl:250:219 add_key:248:217 request_key:249:218 seccomp:317:277 mount:165:40 umount2:166:39 pivot_root:155:41
  chroot:161:51 unshare:272:97 setns:308:268 fsopen:430:430 fsconfig:431:431 fsmount:432:432 fspick:433:433
  open_tree:428:428 move_mount:429:429 mount_setattr:442:442 open_by_handle_at:304:265 name_to_handle_at:303:264
  fanotify_init:300:262 fanotify_mark:301:263 inotify_init1:294:26 memfd_create:319:279 memfd_secret:447:447
  kexec_load:246:104 kexec_file_load:320:294 init_module:175:105 finit_module:313:273 delete_module:176:106
  reboot:169:142 swapon:167:224 swapoff:168:225 quotactl:179:60 quotactl_fd:443:443 acct:163:89 syslog:103:116
  settimeofday:164:170 clock_settime:227:112 clock_adjtime:305:266 adjtimex:159:171 sethostname:170:161
  setdomainname:171:162 iopl:172:- ioperm:173:- vhangup:153:58 personality:135:92 setrlimit:160:164 socket:41:198
  socketpair:53:199 connect:42:203 bind:49:200 listen:50:201 accept:43:202 accept4:288:242 setuid:105:146
  setgid:106:144 setfsuid:122:151 setfsgid:123:152 setsid:112:157 setpgid:109:154 migrate_pages:256:238
  move_pages:279:239 mbind:237:235 set_mempolicy:238:237 shmget:29:194 shmat:30:196 msgget:68:186 semget:64:190
  mq_open:240:180 mkdir:83:- mkdirat:258:34 mknod:133:- mknodat:259:33 link:86:- linkat:265:37 symlink:88:-
  symlinkat:266:36 unlink:87:- unlinkat:263:35 rename:82:- renameat:264:38 renameat2:316:276 creat:85:-
  truncate:76:45 ftruncate:77:46 chmod:90:- fchmod:91:52 fchmodat:268:53 chown:92:- fchown:93:55 lchown:94:-
  fchownat:260:54 setxattr:188:5 lsetxattr:189:6 fsetxattr:190:7 utimensat:280:88
`

/** Their arguments decide. */
const judgedRows = `
  clone:56:220 prlimit64:302:261 ioctl:16:29 clone3:435:435
`

/** As Node names them. */
export type Architecture = 'x64' | 'arm64'

export type Syscalls = ReadonlyMap<string, number>

const read = (rows: string, architecture: Architecture): Syscalls =>
  new Map(
    rows
      .trim()
      .split(/\s+/)
      .map((row) => row.split(':'))
      .map(([name = '', x64 = '-', arm64 = '-']): [string, string] => [name, architecture === 'x64' ? x64 : arm64])
      .filter(([, number]) => number !== '-')
      .map(([name, number]) => [name, Number(number)]),
  )

export const allowedSyscalls = (architecture: Architecture): Syscalls => read(allowedRows, architecture)
export const refusedSyscalls = (architecture: Architecture): Syscalls => read(refusedRows, architecture)
export const judgedSyscalls = (architecture: Architecture): Syscalls => read(judgedRows, architecture)
