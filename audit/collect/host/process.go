package host

import (
	"bytes"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/etcdsec/etcdsec/audit"
)

const (
	// maxProcesses is above the usual kernel.pid_max of 32768. It bounds a forged /proc.
	maxProcesses = 1 << 16

	// maxArguments is above what Linux allows for a command line or an environment.
	maxArguments = 4 << 20
)

// process is an etcd or kube-apiserver that runs.
type process struct {
	pid     int
	started time.Time // zero if it is not known
	apart   bool      // it is in another network namespace than this process, which has another loopback address
}

// startedBefore reports whether the process is older than t, if both are known. The start of
// the machine is known in whole seconds, so a difference of one second says nothing.
func (p *process) startedBefore(t time.Time) bool {
	const margin = 2 * time.Second
	return p != nil && !p.started.IsZero() && !t.IsZero() && p.started.Add(margin).Before(t)
}

// errHidden is of a /proc that is mounted with hidepid=.
var errHidden = errors.New("the processes of other users are hidden from this one")

// processes finds the running programs by the name of their executable. If that may not be
// read, it goes by the first word of the command line.
func (c *collector) processes() []*invocation {
	const proc = "/proc"
	names, err := c.host.names(proc, maxProcesses)
	if err != nil {
		c.missUnlessAbsent(proc, err) // a host that is not running has none
		return nil
	}
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	c.sawProcesses = slices.Contains(pids, 1) // else others' are hidden, or there is no /proc
	live := c.host.isProc(proc)
	if live && !c.sawProcesses && len(pids) > 0 {
		c.miss(proc, errHidden)
	}
	var found []*invocation
	for _, pid := range pids {
		if inv := c.process(proc, pid, live); inv != nil {
			found = append(found, inv)
		}
	}
	return found
}

// process reads one process. It returns nil if the process ends meanwhile.
func (c *collector) process(proc string, pid int, live bool) *invocation {
	dir := path.Join(proc, strconv.Itoa(pid))
	cmdline, err := c.host.readFile(path.Join(dir, "cmdline"), maxArguments)
	if errors.Is(err, fs.ErrPermission) {
		c.miss(proc, errHidden)
	}
	if err != nil || len(cmdline) == 0 { // a kernel thread has none
		return nil
	}
	argv := strings.Split(strings.TrimSuffix(string(cmdline), "\x00"), "\x00")
	exe, exeErr := c.host.readlink(path.Join(dir, "exe"))
	name := path.Base(argv[0])
	// Who started it chose the first word. It counts where it is a symlink to etcd-3.5.21.
	if file := strings.TrimSuffix(path.Base(exe), " (deleted)"); exeErr == nil && !strings.HasPrefix(file, name) {
		name = file
	}
	if !slices.Contains(programs(), name) {
		return nil
	}
	program, args := programIn(append([]string{name}, argv[1:]...))
	if program != name {
		return nil // a gateway or a proxy of etcd
	}
	p := &process{pid: pid, started: c.startTime(dir)}
	inv := &invocation{program: program, args: args, process: p, view: &view{host: c.host, dir: "/"}}
	if cwd, err := c.host.readlink(path.Join(dir, "cwd")); err == nil {
		inv.view.dir = cwd
	} else if live {
		inv.view.dir = path.Join(dir, "cwd") // a relative path is of no other folder
	}
	c.environment(inv, dir)
	inv.sandbox = c.statusOf(dir)
	if live {
		p.apart = c.hasOwnNetwork(dir)
		c.openRoot(inv, dir)
		inv.view.mounts = c.mountsOf(dir)
	}
	return inv
}

// environment reads the environment with which the process was started. Without it, a setting
// that is not on the command line may still have been made, unless a configuration file
// replaces both.
func (c *collector) environment(inv *invocation, dir string) {
	if inv.program != etcd {
		return // kube-apiserver has flags only
	}
	data, err := c.host.readFile(path.Join(dir, "environ"), maxArguments)
	if err != nil {
		if flags, _ := parseFlags(etcd, inv.args); lastSetting(flags, "config-file").value == "" {
			inv.faults = append(inv.faults, audit.Fault{Reason: "the environment of process " + path.Base(dir) + " could not be read: " + explainError(err)})
		}
		return
	}
	inv.env = parseEnviron(data)
}

// openRoot opens the root of the process and reads the version of the executable.
func (c *collector) openRoot(inv *invocation, dir string) {
	root := path.Join(dir, "root")
	own, err := openTree(filepath.Join(c.host.dir, root))
	if err != nil {
		if !errors.Is(err, fs.ErrPermission) {
			return // it has ended
		}
		// Its mounts are told to everybody, so that what it has of the host is found.
		if !c.sharesRoot(dir) {
			inv.view.elsewhere = fmt.Errorf("the process's own files could not be looked at: %s", explainError(err))
		}
		return
	}
	c.trees = append(c.trees, own)
	inv.view.own, inv.view.at = own, root
	if inv.program == etcd {
		inv.version = binaryVersion(filepath.Join(c.host.dir, dir, "exe"))
	}
}

// hasOwnNetwork reports whether a process is in another network namespace than this one. The
// numbers of namespaces are the same everywhere on a machine.
func (c *collector) hasOwnNetwork(dir string) bool {
	theirs, err := c.host.readlink(path.Join(dir, "ns", "net"))
	if err != nil {
		return false
	}
	ours, err := os.Readlink("/proc/self/ns/net")
	return err == nil && ours != theirs
}

// startTime returns when a process began. Field 22 of stat counts hundredths of a second since
// the start of the machine, btime (proc_pid_stat(5); Linux fixes USER_HZ at 100).
func (c *collector) startTime(dir string) time.Time {
	stat, err := c.host.readFile(path.Join(dir, "stat"), maxFile)
	if err != nil {
		return time.Time{}
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	const startTime, hertz = 22 - 3, 100 // the fields behind the name, of which the first is the third
	boot := c.bootTime()
	if len(fields) <= startTime || boot.IsZero() {
		return time.Time{}
	}
	ticks, err := strconv.ParseInt(fields[startTime], 10, 64)
	if err != nil || ticks < 0 || ticks > 1<<40 {
		return time.Time{}
	}
	return boot.Add(time.Duration(ticks) * (time.Second / hertz))
}

func (c *collector) bootTime() time.Time {
	data, err := c.host.readFile("/proc/stat", maxFile)
	if err != nil {
		return time.Time{}
	}
	for line := range strings.Lines(string(data)) {
		if text, found := strings.CutPrefix(line, "btime "); found {
			seconds, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
			if err == nil && seconds > 0 && seconds < 1<<40 {
				return time.Unix(seconds, 0)
			}
		}
	}
	return time.Time{}
}

// versionOf returns the binaryVersion of a program on the host.
func (c *collector) versionOf(program string) string {
	f, err := c.host.open(program, 0)
	if err != nil {
		return ""
	}
	defer f.Close()
	info, err := buildinfo.Read(f)
	if err != nil {
		return ""
	}
	return serverVersion(info)
}

// binaryVersion returns the version in the Go build information of an etcd: etcd's server
// module requires its api module in its own version.
func binaryVersion(exe string) string {
	info, err := buildinfo.ReadFile(exe)
	if err != nil {
		return ""
	}
	return serverVersion(info)
}

func serverVersion(info *debug.BuildInfo) string {
	for _, dep := range info.Deps {
		if dep.Path == "go.etcd.io/etcd/api/v3" {
			return releaseOf(dep.Version)
		}
	}
	return ""
}

// releaseOf returns "3.6.16" for "v3.6.16" and for the tag "3.6.16-0"; empty for any other
// text.
func releaseOf(version string) string {
	version, _, _ = strings.Cut(strings.TrimPrefix(version, "v"), "-")
	parts := strings.Split(version, ".")
	if len(parts) != 3 {
		return ""
	}
	for _, part := range parts {
		if _, err := strconv.ParseUint(part, 10, 16); err != nil {
			return ""
		}
	}
	return version
}
