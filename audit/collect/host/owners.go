package host

import (
	"strconv"
	"strings"
)

// ownerNames holds the host's users and groups. A mounted host has others than this machine.
type ownerNames struct {
	users, groups map[uint32]string
	unread        string // why some names may not be known; empty if all are
}

func (c *collector) ownerNames() ownerNames {
	var n ownerNames
	read := func(name string) map[uint32]string {
		data, err := c.host.readFile(name, maxFile)
		if err != nil {
			n.unread = name + ": " + explainError(err)
			if !isNotThere(err) {
				c.fault(name, err)
			}
		}
		names := parseNames(data)
		if names[0] == "" {
			names[0] = "root" // by the kernel, whatever a file says
		}
		return names
	}
	n.users, n.groups = read("/etc/passwd"), read("/etc/group")
	return n
}

// parseNames reads the names and numbers of passwd(5) or group(5). If two names have one
// number, the first counts.
func parseNames(data []byte) map[uint32]string {
	names := map[uint32]string{}
	for line := range strings.Lines(string(data)) {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if len(fields) < 3 || fields[0] == "" {
			continue
		}
		id, err := strconv.ParseUint(fields[2], 10, 32)
		if err != nil {
			continue
		}
		if _, known := names[uint32(id)]; !known {
			names[uint32(id)] = makePrintable(fields[0])
		}
	}
	return names
}

func (n ownerNames) user(id uint32) string { return nameOr(n.users, id) }

func (n ownerNames) group(id uint32) string { return nameOr(n.groups, id) }

func nameOr(names map[uint32]string, id uint32) string {
	if name, found := names[id]; found {
		return name
	}
	return strconv.FormatUint(uint64(id), 10)
}
