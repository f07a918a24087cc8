package policies_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/cmd/etcdsec/tests/clitest"
	"github.com/etcdsec/etcdsec/internal/ptytest"
)

// labTable is the name of the table of the laboratory's cluster.
const labTable = "etcdsec-lab"

// labRun is a running etcdsec on a host of the laboratory.
type labRun struct {
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer
	ended          chan struct{}
}

// start starts etcdsec on a host, with a state folder for its guard.
func (s *policiesSite) start(t *testing.T, h *labHost, args ...string) *labRun {
	t.Helper()
	return s.startAt(t, nil, h, args...)
}

// startAt starts it at a terminal.
func (s *policiesSite) startAt(t *testing.T, screen *os.File, h *labHost, args ...string) *labRun {
	t.Helper()
	r := &labRun{ended: make(chan struct{})}
	r.cmd = exec.CommandContext(t.Context(), "nsenter", append([]string{"--net=" + h.path(), clitest.Binary(t)}, args...)...)
	r.cmd.Env = clitest.Environ()
	r.cmd.Stdout, r.cmd.Stderr = &r.stdout, &r.stderr
	if screen != nil {
		r.cmd.Stdin = screen
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = r.cmd.Wait() // the status is looked at
		close(r.ended)
	}()
	return r
}

// wait checks the exit status, and returns the output.
func (r *labRun) wait(t *testing.T, status int) (stdout, stderr string) {
	t.Helper()
	<-r.ended
	if got := r.cmd.ProcessState.ExitCode(); got != status {
		t.Errorf("%v: exit %d, want %d: %s%s", r.cmd.Args[2:], got, status, r.stdout.String(), r.stderr.String())
	}
	return r.stdout.String(), r.stderr.String()
}

func (s *policiesSite) etcdsec(t *testing.T, h *labHost, status int, args ...string) (stdout, stderr string) {
	t.Helper()
	return s.start(t, h, args...).wait(t, status)
}

// waitUntil waits until a condition holds, and fails the test after patience.
func waitUntil(t *testing.T, what string, patience time.Duration, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); <-time.After(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after %s: not %s", patience, what)
		}
	}
}

// hasTable reports whether the host has the table of etcdsec.
func (h *labHost) hasTable(t *testing.T) bool {
	t.Helper()
	return strings.Contains(h.run(t, "", "nft", "list", "tables"), "inet etcdsec-lab")
}

// watchdog returns the ID of the process that guards a change, or 0.
func watchdog(t *testing.T, state string) int {
	t.Helper()
	processes, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(processes) == 0 {
		t.Fatalf("no processes: %v", err)
	}
	for _, p := range processes {
		line, err := os.ReadFile(p)
		if err == nil && bytes.Contains(line, []byte("\x00watch\x00")) && bytes.Contains(line, []byte("\x00"+state+"\x00")) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(p)))
			if err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
	return 0
}

// What apply does on a member of a live cluster.
func (s *policiesSite) testApply(t *testing.T) {
	cp := s.host("cp-0")
	var runs int
	// fresh takes the rules away and returns the words of a new apply.
	fresh := func(t *testing.T, guard string, more ...string) (state string, args []string) {
		t.Helper()
		if cp.hasTable(t) {
			cp.run(t, "", "nft", "delete", "table", "inet", labTable)
		}
		runs++
		state = filepath.Join(s.dir, "state"+strconv.Itoa(runs))
		return state, append([]string{"policies", "apply", "-f", s.spec, "--guard", guard, "--state-dir", state}, more...)
	}
	up := func(t *testing.T, r *labRun, state string) {
		t.Helper()
		waitUntil(t, "loaded", 2*time.Minute, func() bool {
			select {
			case <-r.ended:
				t.Fatalf("it has ended: %s", r.stderr.String())
			default:
			}
			return cp.hasTable(t) && watchdog(t, state) != 0
		})
	}

	t.Run("a dry run", func(t *testing.T) {
		state, args := fresh(t, "60s", "--dry-run", "-o", "json")
		stdout, _ := s.etcdsec(t, cp, 0, args...)
		var plan struct {
			Host    string
			Member  bool
			Changes []json.RawMessage
			Checks  []struct {
				Address string
				Answers bool
			}
			Outcome string
		}
		if err := json.Unmarshal([]byte(stdout), &plan); err != nil {
			t.Fatal(err)
		}
		if plan.Host != "etcd-0" || !plan.Member || len(plan.Changes) != 1 || plan.Outcome != "planned" || cp.hasTable(t) {
			t.Errorf("got %+v", plan)
		}
		answers := map[string]bool{}
		for _, c := range plan.Checks {
			answers[c.Address] = c.Answers
		}
		for _, address := range []string{"10.0.0.12:2379", "10.0.0.12:2380", "[fd00::13]:2380", "127.0.0.1:2381"} {
			if !answers[address] {
				t.Errorf("%s does not answer: %+v", address, plan.Checks)
			}
		}
		if _, err := os.Stat(state); err == nil {
			t.Error("a dry run left a folder")
		}
	})
	t.Run("kept by checks", func(t *testing.T) {
		save := filepath.Join(s.dir, "etcdsec.nft")
		_, args := fresh(t, "2s", "--confirm", "checks", "--save", save)
		stdout, stderr := s.etcdsec(t, cp, 0, args...)
		saved, err := os.ReadFile(save)
		if err != nil || !bytes.Equal(saved, s.rulesOf(cp).Text()) || !strings.Contains(stdout, "kept") || !strings.Contains(stderr, "systemctl enable nftables") || !cp.hasTable(t) {
			t.Errorf("%v: %s%s", err, stdout, stderr)
		}
		_, stderr = s.etcdsec(t, cp, 0, args...)
		if !strings.Contains(stderr, "nothing to do") {
			t.Errorf("again: %s", stderr)
		}
		s.quorum(t)
		s.testDrift(t)
	})
	t.Run("not confirmed", func(t *testing.T) {
		_, args := fresh(t, "5s") // long enough for a machine under load to load them
		stdout, stderr := s.etcdsec(t, cp, 1, args...)
		if cp.hasTable(t) || !strings.Contains(stdout, "undone") || !strings.Contains(stderr, "not confirmed within 5s") {
			t.Errorf("%s%s", stdout, stderr)
		}
	})
	t.Run("confirmed from another session", func(t *testing.T) {
		state, args := fresh(t, "5m")
		r := s.start(t, cp, args...)
		up(t, r, state)
		_, stderr := s.etcdsec(t, cp, 1, args...)
		if !strings.Contains(stderr, "another etcdsec is working on it") {
			t.Errorf("a second apply: %s", stderr)
		}
		s.etcdsec(t, cp, 0, "policies", "confirm", "--state-dir", state)
		r.wait(t, 0)
		_, stderr = s.etcdsec(t, cp, 1, "policies", "rollback", "--state-dir", state)
		if !cp.hasTable(t) || !strings.Contains(stderr, "no change of the packet filter waits") {
			t.Error(stderr)
		}
	})
	t.Run("undone from another session", func(t *testing.T) {
		state, args := fresh(t, "5m")
		r := s.start(t, cp, args...)
		up(t, r, state)
		s.etcdsec(t, cp, 0, "policies", "rollback", "--state-dir", state)
		_, stderr := r.wait(t, 1)
		if cp.hasTable(t) || !strings.Contains(stderr, "another session undid it") {
			t.Error(stderr)
		}
	})
	t.Run("killed", func(t *testing.T) {
		state, args := fresh(t, "5s")
		r := s.start(t, cp, args...)
		up(t, r, state)
		if err := r.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-r.ended
		if _, stderr := s.etcdsec(t, cp, 1, args...); !strings.Contains(stderr, "still waits to be kept or undone") {
			t.Errorf("an apply while the guard lives: %s", stderr)
		}
		waitUntil(t, "undone", 2*time.Minute, func() bool { return !cp.hasTable(t) && watchdog(t, state) == 0 })
	})
	t.Run("killed, and confirmed", func(t *testing.T) {
		save := filepath.Join(s.dir, "killed.nft")
		state, args := fresh(t, "5m", "--save", save)
		r := s.start(t, cp, args...)
		up(t, r, state)
		if err := r.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-r.ended
		_, stderr := s.etcdsec(t, cp, 0, "policies", "confirm", "--state-dir", state)
		saved, err := os.ReadFile(save)
		if err != nil || !bytes.Equal(saved, s.rulesOf(cp).Text()) || !cp.hasTable(t) || !strings.Contains(stderr, "wrote "+save) {
			t.Errorf("%v: %s", err, stderr)
		}
	})
	for _, end := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP} { // internal/stop tries the others
		t.Run("ended by "+end.String(), func(t *testing.T) {
			state, args := fresh(t, "5m")
			r := s.start(t, cp, args...)
			up(t, r, state)
			if err := r.cmd.Process.Signal(end); err != nil {
				t.Fatal(err)
			}
			if _, stderr := r.wait(t, 1); cp.hasTable(t) || !strings.Contains(stderr, "this command was stopped") {
				t.Error(stderr)
			}
		})
	}
	t.Run("its terminal is gone", func(t *testing.T) {
		state, args := fresh(t, "5m")
		keyboard, screen := ptytest.Open(t)
		r := s.startAt(t, screen, cp, args...)
		up(t, r, state)
		_ = screen.Close()
		_ = keyboard.Close()
		if _, stderr := r.wait(t, 1); cp.hasTable(t) || !strings.Contains(stderr, "this command was stopped") {
			t.Error(stderr)
		}
	})
	t.Run("the guard is ended", func(t *testing.T) {
		state, args := fresh(t, "5m")
		r := s.start(t, cp, args...)
		up(t, r, state)
		if err := syscall.Kill(watchdog(t, state), syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if r.wait(t, 1); cp.hasTable(t) {
			t.Error("the rules are still there")
		}
	})
	t.Run("both killed", func(t *testing.T) {
		state, args := fresh(t, "5m")
		cp.run(t, "table inet etcdsec-lab {\n chain mine {\n }\n}\n", "nft", "-f", "-") // what has to come back
		r := s.start(t, cp, args...)
		up(t, r, state)
		pid := watchdog(t, state)
		if err := r.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-r.ended
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		waitUntil(t, "killed", 2*time.Minute, func() bool { return watchdog(t, state) == 0 })
		if _, stderr := s.etcdsec(t, cp, 1, args...); !strings.Contains(stderr, "etcdsec policies rollback") {
			t.Error(stderr)
		}
		stdout, _ := s.etcdsec(t, cp, 0, "policies", "rollback", "--state-dir", state)
		rules := cp.run(t, "", "nft", "list", "table", "inet", labTable)
		if stdout != "undone\n" || !strings.Contains(rules, "chain mine") || strings.Contains(rules, "chain input") {
			t.Errorf("%s%s", stdout, rules)
		}
	})
	t.Run("the table has its former name", func(t *testing.T) {
		former := func() bool { return strings.Contains(cp.run(t, "", "nft", "list", "tables"), "inet etcdsec\n") }
		state, args := fresh(t, "5m")
		cp.run(t, strings.ReplaceAll(string(s.rulesOf(cp).Text()), labTable, "etcdsec"), "nft", "-f", "-")
		// One of another cluster, which has other ports.
		cp.run(t, "table inet etcdsec-other {\n chain input {\n tcp dport 12379 drop\n }\n}\n", "nft", "-f", "-")
		stdout, _ := s.etcdsec(t, cp, 3, "policies", "drift", "-f", s.spec)
		if !strings.Contains(stdout, "former name") {
			t.Errorf("drift: %s", stdout)
		}
		r := s.start(t, cp, args...)
		waitUntil(t, "loaded", 2*time.Minute, func() bool { return cp.hasTable(t) && watchdog(t, state) != 0 })
		if former() {
			t.Error("the former table is still there")
		}
		s.etcdsec(t, cp, 0, "policies", "rollback", "--state-dir", state)
		r.wait(t, 1)
		if !former() || cp.hasTable(t) {
			t.Error("the former table did not come back")
		}
		_, args = fresh(t, "2s", "--confirm", "checks")
		s.etcdsec(t, cp, 0, args...)
		if former() || !cp.hasTable(t) || !strings.Contains(cp.run(t, "", "nft", "list", "tables"), "etcdsec-other") {
			t.Error("the former table is left, or that of another cluster is gone")
		}
		cp.run(t, "", "nft", "delete", "table", "inet", "etcdsec-other")
	})
	t.Run("typed", func(t *testing.T) { s.testTyped(t, fresh) })
	t.Run("a member that is not in the spec", func(t *testing.T) {
		_, args := fresh(t, "5m")
		alone := filepath.Join(s.dir, "alone.yaml")
		text := labSpec
		for line := range strings.SplitSeq(labSpec, "\n") {
			for _, gone := range []string{"etcd-1", "etcd-2", "cp-1", "cp-2"} {
				if strings.Contains(line, "name: "+gone+",") {
					text = strings.Replace(text, line+"\n", "", 1)
				}
			}
		}
		clitest.WriteFile(t, alone, []byte(strings.ReplaceAll(text, "DIR", s.dir)))
		args[3] = alone
		_, stderr := s.etcdsec(t, cp, 1, args...)
		if cp.hasTable(t) || !strings.Contains(stderr, "at port 2380") || !strings.Contains(stderr, "10.0.0.12:") || !strings.Contains(stderr, "--cut") {
			t.Error(stderr)
		}
		args[5] = "5s"
		stdout, stderr := s.etcdsec(t, cp, 1, append(args, "--cut")...)
		if cp.hasTable(t) || !strings.Contains(stdout, "undone") || !strings.Contains(stderr, "loaded; the guard undoes the change in 5s") {
			t.Errorf("%s%s", stdout, stderr)
		}
		s.quorum(t)
	})
	t.Run("a member does not answer any more", func(t *testing.T) {
		state, args := fresh(t, "5m")
		r := s.start(t, cp, args...)
		up(t, r, state)
		signal := func(sig syscall.Signal) {
			if err := syscall.Kill(s.members[1].PID(), sig); err != nil {
				t.Fatal(err)
			}
		}
		signal(syscall.SIGSTOP)
		_, stderr := r.wait(t, 1)
		signal(syscall.SIGCONT)
		// Which of its ports is found silent first depends on the moment.
		if cp.hasTable(t) || !strings.Contains(stderr, " answered before, but no longer does") {
			t.Error(stderr)
		}
		s.quorum(t)
	})
	s.load(t)
}

// testDrift tests drift on a host whose rules match the spec.
func (s *policiesSite) testDrift(t *testing.T) {
	t.Helper()
	cp := s.host("cp-0")
	drift := []string{"policies", "drift", "-f", s.spec}
	if stdout, _ := s.etcdsec(t, cp, 0, drift...); stdout != "" {
		t.Errorf("got %s", stdout)
	}
	cp.run(t, "add element inet etcdsec-lab members4 { 10.0.0.66 }\ninsert rule inet etcdsec-lab input accept\n", "nft", "-f", "-")
	stdout, _ := s.etcdsec(t, cp, 3, append(drift, "-o", "json")...)
	var result struct {
		Matches     bool
		Differences []struct{ Kind, Live string }
	}
	if err := json.Unmarshal([]byte(stdout), &result); err != nil {
		t.Fatal(err)
	}
	if result.Matches || len(result.Differences) != 2 || result.Differences[0].Live != "10.0.0.66" || result.Differences[1].Kind != "extra" {
		t.Errorf("got %s", stdout)
	}
	dump := filepath.Join(s.dir, "dump.json")
	clitest.WriteFile(t, dump, []byte(cp.run(t, "", "nft", "-j", "list", "ruleset")))
	if stdout, _ := s.etcdsec(t, cp, 3, append(drift, "--node", "cp-0", dump)...); !strings.Contains(stdout, "extra") {
		t.Errorf("got %s", stdout)
	}
	s.etcdsec(t, s.host("worker"), 0, drift...)
	s.etcdsec(t, s.host("outsider"), 3, drift...)
}

// Typing yes keeps the rules, and typing anything else undoes them at once.
func (s *policiesSite) testTyped(t *testing.T, fresh func(*testing.T, string, ...string) (string, []string)) {
	t.Helper()
	cp := s.host("cp-0")
	for typed, status := range map[string]int{"yes\n": 0, "what?\n": 1} {
		_, args := fresh(t, "5m")
		keyboard, screen := ptytest.Open(t)
		if _, err := keyboard.WriteString(typed); err != nil {
			t.Fatal(err)
		}
		r := s.startAt(t, screen, cp, args...)
		if _, stderr := r.wait(t, status); cp.hasTable(t) != (status == 0) || !strings.Contains(stderr, "type yes to keep it") {
			t.Errorf("%q: %s", typed, stderr)
		}
	}
}

// Without root there is a hint, and nothing is left behind.
func TestPoliciesNotRoot(t *testing.T) {
	needPoliciesLab(t)
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can be somebody else")
	}
	spec := filepath.Join(t.TempDir(), "cluster.yaml")
	clitest.WriteFile(t, spec, []byte(strings.ReplaceAll(labSpec, "DIR", "/nowhere")))
	f, err := os.Open(spec)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	binary, err := os.Open(clitest.Binary(t))
	if err != nil {
		t.Fatal(err)
	}
	defer binary.Close()
	for _, test := range []struct{ verb, hint string }{
		{"drift", "hint: sudo etcdsec policies drift"}, {"apply --dry-run", "hint: sudo etcdsec policies apply"}, {"apply --guard 1s --confirm checks", "hint: sudo etcdsec policies apply"},
	} {
		if _, err := f.Seek(0, 0); err != nil {
			t.Fatal(err)
		}
		// The binary's folder may be closed to others, an open file is not.
		cmd := exec.CommandContext(t.Context(), "/proc/self/fd/3", append(append([]string{"policies"}, strings.Fields(test.verb)...), "-f", "-")...)
		cmd.Args[0] = "etcdsec"
		cmd.Env = clitest.Environ()
		cmd.ExtraFiles = []*os.File{binary} // 3
		cmd.Stdin = f
		cmd.Dir = "/"
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		_ = cmd.Run() // the status is looked at
		if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != 1 || stdout.Len() > 0 || !strings.Contains(stderr.String(), test.hint) {
			t.Errorf("%s: %v: %s%s", test.verb, cmd.ProcessState, stdout.String(), stderr.String())
		}
	}
}
