package host

import (
	"bytes"
	"path"
	"strconv"
	"strings"
)

// maxMounts is far above the table of mounts of a host with some thousand containers.
const maxMounts = 16 << 20

// mounted is one line of /proc/PID/mountinfo (proc_pid_mountinfo(5)).
type mounted struct {
	device string // major:minor of the file system
	root   string // the path in the file system that is mounted
	at     string // where, in the root of the process
}

// mountsOf returns which files and folders a process sees, and where the host has them, which is
// elsewhere for a container.
func (c *collector) mountsOf(dir string) []mount {
	inside, err := c.host.readFile(path.Join(dir, "mountinfo"), maxMounts)
	if err != nil {
		return nil // it has ended
	}
	outside, err := c.host.readFile("/proc/1/mountinfo", maxMounts)
	if err != nil || bytes.Equal(inside, outside) {
		return nil
	}
	return joinMounts(parseMounts(inside), parseMounts(outside))
}

// sharesRoot reports whether a process is seen to have the root of the host, and not that of a
// container.
func (c *collector) sharesRoot(dir string) bool {
	root := func(at string) (root mounted) {
		data, err := c.host.readFile(at, maxMounts)
		if err != nil {
			return mounted{}
		}
		for _, m := range parseMounts(data) {
			if m.at == "/" { // the last hides the others
				root = m
			}
		}
		return root
	}
	theirs := root(path.Join(dir, "mountinfo"))
	return theirs.at != "" && theirs == root("/proc/1/mountinfo")
}

// joinMounts finds for each mount of a container where the host has the same files.
func joinMounts(inside, outside []mounted) []mount {
	var joined []mount
	devices := map[string][]mounted{}
	for _, h := range outside {
		devices[h.device] = append(devices[h.device], h)
	}
	for _, m := range inside[:min(len(inside), maxNames)] { // a container has some dozen
		if m.at == "/" { // the root of a container is an image
			continue
		}
		on, length := "", -1
		for _, h := range devices[m.device] {
			if !isBelow(m.root, h.root) || len(h.root) < length {
				continue
			}
			at := path.Join(h.at, strings.TrimPrefix(m.root, h.root))
			if len(h.root) > length || at == m.at {
				on, length = at, len(h.root)
			}
		}
		joined = append(joined, mount{m.at, on})
	}
	return joined
}

func parseMounts(data []byte) []mounted {
	var all []mounted
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		m := mounted{device: fields[2], root: unescapeMount(fields[3]), at: unescapeMount(fields[4])}
		if path.IsAbs(m.root) && path.IsAbs(m.at) { // a namespace that is mounted has another root
			all = append(all, mounted{m.device, path.Clean(m.root), path.Clean(m.at)})
		}
	}
	return all
}

// unescapeMount reads the octal escapes of the kernel for white space and backslashes.
func unescapeMount(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+3 < len(text) {
			if code, err := strconv.ParseUint(text[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(code))
				i += 3
				continue
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}
