/** What an operator may set, and what it is when nothing is set. */
import { Type } from '@orchestry/sdk'

const seconds = (value: number, description: string) =>
  Type.Integer({ minimum: 1, maximum: 604_800, default: value, description })
const port = (value: number, description: string) =>
  Type.Integer({ minimum: 1, maximum: 65_535, default: value, description })

export const Settings = Type.Object(
  {
    existing: Type.Optional(
      Type.Object(
        {
          dir: Type.String({
            maxLength: 256,
            description: 'a directory whose *.conf files that nginx includes in http { }',
          }),
          logDir: Type.String({ maxLength: 256, description: 'where that nginx writes its logs' }),
          conf: Type.Optional(
            Type.String({
              maxLength: 256,
              description: 'its own configuration, where this plugin is to reload it; without it somebody else does',
            }),
          ),
        },
        { additionalProperties: false, description: 'an nginx that runs already; without it Orchestry starts one' },
      ),
    ),
    path: Type.String({ minLength: 1, maxLength: 256, description: 'the nginx program, such as /usr/sbin/nginx' }),
    host: Type.String({
      default: '127.0.0.1',
      maxLength: 64,
      description: 'the IP address to listen on; 0.0.0.0 is every one',
    }),
    port: port(8081, 'where traffic of apps comes in'),
    statusPort: port(8082, 'where nginx tells this plugin which configuration is live; on 127.0.0.1 only'),
    url: Type.Optional(
      Type.String({ maxLength: 512, description: 'how clients reach it, when that is not host and port' }),
    ),
    workers: Type.Integer({ minimum: 1, maximum: 64, default: 2, description: 'worker processes' }),
    connections: Type.Integer({ minimum: 64, maximum: 60_000, default: 8_192, description: 'of each worker' }),
    maxBodyMb: Type.Integer({ minimum: 0, default: 0, description: 'largest request body; 0 is no bound' }),
    connectSeconds: seconds(2, 'for a replica to take a connection'),
    answerSeconds: seconds(300, 'of silence of a replica, or of a client, before a request or WebSocket is ended'),
    keepIdleSeconds: seconds(4, 'that an idle connection to a replica is kept; less than the replicas keep it'),
    drainSeconds: seconds(3_600, 'that requests begun before a change may still take'),
    closingMs: Type.Integer({
      minimum: 0,
      maximum: 2_000,
      default: 200,
      description: 'before a change goes live, in which kept connections of clients end in peace',
    }),
  },
  { additionalProperties: false },
)
export type Settings = Type.Static<typeof Settings>
