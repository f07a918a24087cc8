package host

import (
	"path"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// etcdManager is the program of kOps that starts etcd, with settings that it makes while it runs.
const etcdManager = "etcd-manager"

// launch describes how a container or a unit starts programs.
type launch struct {
	argv     []string
	env      []variable
	unknown  []string // variables that somebody else fills in
	readFile func(name string) ([]byte, error)
}

// launched holds what a launch starts.
type launched struct {
	invocations []*invocation // one for each program
	scripted    bool          // a shell was involved
	// unclear is what is run instead, where it may start a program and nothing tells; empty if
	// something does.
	unclear string
}

// follow finds the programs that a launch starts. A script is read by the rules of the shell; what
// cannot be known without running it is a fault of the settings that it concerns.
func (l launch) follow() launched {
	s := newShell(l.env, l.unknown, nil, l.readFile)
	s.given = l.env
	err := s.execute(knownArguments(l.argv))
	found := launched{scripted: s.scripted, unclear: s.anything}
	if err != nil {
		if program := programInScript(l.argv); program != "" {
			found.invocations = []*invocation{{program: program, env: l.env, script: true}}
		}
		found.unclear = err.Error()
		return found
	}
	for _, program := range append(programs(), etcdManager) {
		var starts []start
		for _, st := range s.starts {
			if st.program == program && st.serves() {
				starts = append(starts, st)
			}
		}
		if len(starts) > 0 {
			found.invocations = append(found.invocations, s.invocation(starts))
		}
	}
	return found
}

// serves leaves out what is a program of etcd and no member: a gateway or a proxy, which have other
// flags and no data, and what only prints something.
func (st start) serves() bool {
	if st.program != etcd {
		return true
	}
	if len(st.args) > 0 && slices.Contains([]string{"gateway", "grpc-proxy", "help"}, st.args[0].text) {
		return false
	}
	return !slices.ContainsFunc(st.args, func(a argument) bool {
		return slices.Contains([]string{"--version", "-version", "--help", "-help", "-h"}, a.text)
	})
}

// invocation joins the ways in which a script starts one program. What they do not have in common is
// not known.
func (s *shell) invocation(starts []start) *invocation {
	inv := starts[0].invocation()
	flags := inv.written()
	for _, st := range starts[1:] {
		other := st.invocation()
		inv.partial = inv.partial || other.partial
		inv.faults = append(inv.faults, other.faults...)
		theirs := other.written()
		for _, w := range slices.Concat(flags, theirs) {
			if lastSetting(flags, w.name) != lastSetting(theirs, w.name) {
				inv.faults = append(inv.faults, audit.Fault{Subject: makePrintable(w.name), Reason: "the script starts " + inv.program + " in several ways, which differ in it"})
			}
		}
	}
	if s.anything != "" { // as good as a way of which nothing is known
		for _, w := range flags {
			inv.faults = append(inv.faults, audit.Fault{Subject: makePrintable(w.name), Reason: "the script may also start " + inv.program + " by " + shorten(s.anything)})
		}
		inv.faults = append(inv.faults, audit.Fault{Reason: "the script may also start " + inv.program + " by " + shorten(s.anything)})
	}
	slices.SortFunc(inv.faults, func(a, b audit.Fault) int {
		return strings.Compare(a.Subject+"\x00"+a.Reason, b.Subject+"\x00"+b.Reason)
	})
	inv.faults = slices.Compact(inv.faults)
	return inv
}

// written returns the settings that an invocation makes, by flags and environment.
func (inv *invocation) written() []written {
	flags, _ := parseFlags(inv.program, inv.args)
	if inv.program == etcd {
		env, _ := etcdSettings(inv.env)
		flags = append(env, flags...)
	}
	return flags
}

// invocation converts one start. A word of which nothing is known may be any flag: it may take back
// what stands before it, and make what is nowhere else.
func (st start) invocation() *invocation {
	inv := &invocation{program: st.program}
	for _, v := range st.env {
		if v.name == unreadSource {
			inv.faults = append(inv.faults, audit.Fault{Reason: "the script takes variables from a file that was not read"})
			continue
		}
		inv.env = append(inv.env, v)
	}
	if st.program == etcdManager {
		inv.program, inv.manages = etcd, managedPort(st.args)
		inv.faults = append(inv.faults, audit.Fault{Reason: "etcd-manager starts etcd, with settings that it makes while it runs"})
		return inv
	}
	before, unknown := 0, ""
	for i := 0; i < len(st.args); i++ {
		a := st.args[i]
		name, _, given := strings.Cut(a.text, "=")
		if !a.known && (!given || !strings.HasPrefix(name, "-") || hasUnknownPart(name)) {
			before, unknown = len(inv.args), a.text
			continue
		}
		inv.args = append(inv.args, a.text)
		if i+1 < len(st.args) && !given && st.takesNext(a.text, st.args[i+1]) {
			i++
			inv.args = append(inv.args, st.args[i].text)
		}
	}
	if unknown == "" {
		return inv
	}
	inv.partial = true
	inv.faults = append(inv.faults, audit.Fault{Reason: "the script passes " + shorten(unknown) + ", and what is in it is known only while it runs"})
	early, _ := parseFlags(inv.program, inv.args[:before])
	late, _ := parseFlags(inv.program, inv.args[before:])
	for _, w := range early {
		if lastSetting(late, w.name).name == "" || isCumulative(inv.program, w.name) {
			inv.faults = append(inv.faults, audit.Fault{Subject: makePrintable(w.name), Reason: "the script may set it again, in " + shorten(unknown)})
		}
	}
	return inv
}

// takesNext reports whether a flag without a value takes the next word as its value.
func (st start) takesNext(flag string, next argument) bool {
	if !strings.HasPrefix(flag, "-") {
		return false
	}
	if st.program == etcd {
		boolean, known := lookUpSwitch(strings.TrimLeft(flag, "-"))
		return known && !boolean
	}
	return !next.known || !strings.HasPrefix(next.text, "-")
}

// managedPort returns the client port of the etcd that an etcd-manager starts; empty if it does not
// say one.
func managedPort(args []argument) string {
	for _, a := range args {
		if value, found := strings.CutPrefix(a.text, "--client-urls="); found {
			return portOf(value)
		}
	}
	return ""
}

// portOf returns the port at the end of a URL whose host need not be one.
func portOf(url string) string {
	port := url[strings.LastIndexByte(url, ':')+1:]
	if port == "" || strings.Trim(port, "0123456789") != "" {
		return ""
	}
	return port
}

// programIn finds which of the programs a command line starts, and returns its arguments.
func programIn(argv []string) (program string, args []string) {
	words := knownArguments(argv)
	at, _ := skipWrappers(words)
	if at < 0 || !slices.Contains(programs(), path.Base(argv[at])) {
		return "", nil
	}
	st := start{program: path.Base(argv[at]), args: words[at+1:]}
	if !st.serves() {
		return "", nil
	}
	return st.program, argv[at+1:]
}

// programInScript finds a program whose name stands where a command may stand in a script that
// cannot be read.
func programInScript(argv []string) string {
	words := knownArguments(argv)
	shell, _ := skipWrappers(words)
	if shell < 0 || !slices.Contains(shells(), path.Base(argv[shell])) {
		return ""
	}
	for _, script := range argv[shell+1:] {
		for command := range strings.FieldsFuncSeq(script, func(r rune) bool { return strings.ContainsRune("\n;&|(){}\"'`", r) }) {
			// Assignments may stand in front of a command, as they may behind env.
			if program, _ := programIn(append([]string{"env"}, strings.Fields(command)...)); program != "" {
				return program
			}
		}
	}
	return ""
}
