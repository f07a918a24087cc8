package host

import (
	"path"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// statusOf returns what the kernel tells of the limits of a process (proc_pid_status(5)); nil if
// that could not be read.
func (c *collector) statusOf(dir string) *audit.Sandbox {
	data, err := c.host.readFile(path.Join(dir, "status"), maxFile)
	if err != nil {
		return nil
	}
	s := &audit.Sandbox{By: audit.ProcessStatus, Values: map[string]string{}}
	for line := range strings.Lines(string(data)) {
		name, value, _ := strings.Cut(line, ":")
		fields := strings.Fields(value)
		switch {
		case name == "Uid" && len(fields) == 4: // real, effective, saved, of the file system
			s.Values[name] = makePrintable(fields[1])
		case (name == "CapEff" || name == "NoNewPrivs" || name == "Seccomp") && len(fields) == 1:
			s.Values[name] = makePrintable(fields[0])
		}
	}
	return s
}
