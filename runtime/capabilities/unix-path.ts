/** Which Unix sockets may be granted at all, by their names. Pure. */
import { posix } from 'node:path'

/** Whoever may speak to one of these commands the machine, somebody's session or somebody's keys. */
const runtimeSockets: readonly (readonly [RegExp, string])[] = [
  [/\/(docker|dockerd|cri-dockerd|dockershim|moby|buildkitd?)(\.[^/]*)?(\/|$)|\/docker[^/]*\.sock$/, 'Docker'],
  [/\/(containerd|nerdctl|k3s)[^/]*(\/|$)/, 'containerd'],
  [/\/(podman|libpod)[^/]*(\/|$)/, 'Podman'],
  [/\/crio[^/]*(\/|$)/, 'CRI-O'],
  [/\/(lxd|lxc|incus|libvirt|virtqemud|firecracker|kubelet|frakti)[^/]*(\/|$)/, 'a runtime of machines or containers'],
  [/\/systemd[^/]*(\/|$)|\/udev\//, 'systemd'],
  [/\/dbus[^/]*(\/|$)|\/(system_)?bus(_socket)?$/, 'D-Bus'],
  [/\/snapd[^/]*(\/|$)/, 'snapd'],
  [/\/ssh-[^/]*\/|\/(agent\.\d+|ssh-agent[^/]*|openssh_agent|ssh)$|\/keyring\//, 'an agent that holds keys'],
  [/\/gnupg\/|\/S\.(gpg|dirmngr|scdaemon|keyboxd)[^/]*$/, 'an agent that holds keys'],
  [/\/\.?(X11|ICE)-unix\/|\/wayland-[^/]*$|\/(tmux|screens?|screen)-?[^/]*\//, "somebody's session"],
  [/^\/(proc|sys|dev)(\/|$)/, 'the kernel'],
  [/\/orchestry-\d+(\/|$)/, 'Orchestry itself'],
]

/** Sockets that are looked for under other names too: bound elsewhere, or linked. */
export const wellKnownSockets: readonly string[] = [
  '/run/docker.sock',
  '/run/containerd/containerd.sock',
  '/run/podman/podman.sock',
  '/run/crio/crio.sock',
  '/run/dbus/system_bus_socket',
  '/run/systemd/private',
  '/run/snapd.socket',
]

/** In words why this path can be granted to nobody; undefined when it can be. */
export function pathRefusal(path: string): string | undefined {
  if (path.startsWith('@') || path.startsWith('\0')) return 'is an abstract name, which anybody could take'
  if (!path.startsWith('/')) return 'is no absolute path'
  if (/[^\x20-\x7e]/.test(path)) return 'holds characters that are not printable ASCII'
  if (posix.normalize(path) !== path || path.endsWith('/')) return 'is not written out plainly (no "..", no "//")'
  const [, whose] = runtimeSockets.find(([pattern]) => pattern.test(path)) ?? []
  return whose === undefined ? undefined : `belongs to ${whose} and is granted to nobody`
}
