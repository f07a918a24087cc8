package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/etcdsec/etcdsec/policies/guard"
)

// asCommand in the environment makes the test binary the etcdsec command, for tests that
// need a process of their own to kill.
const asCommand = "ETCDSEC_TEST_AS_COMMAND"

// noRaceSleep: a program with the race detector otherwise sleeps for a second at its end.
const noRaceSleep = "GORACE=atexit_sleep_ms=0"

// daysOn in the environment lets a command run that many days from now.
const daysOn = "ETCDSEC_TEST_DAYS"

func testNow() time.Time {
	days, _ := strconv.Atoi(os.Getenv(daysOn)) // none is none
	return time.Now().AddDate(0, 0, days)
}

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		os.Exit(mainStatus(testNow))
	}
	testscript.Main(m, map[string]func(){
		"etcdsec": func() { os.Exit(mainStatus(testNow)) },
	})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Vars = append(env.Vars, noRaceSleep)
			return nil
		},
		Condition: func(condition string) (bool, error) {
			switch condition {
			case "root":
				return os.Getuid() == 0, nil
			case "nft":
				_, err := guard.FindNft()
				return err == nil, nil
			}
			return false, fmt.Errorf("unknown condition %q", condition)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exitcode": exitcode,
		},
	})
}

// exitcode runs "exitcode N program args…" and wants exactly that status. The built-in
// "! exec" also takes a panic for the failure it waits for.
func exitcode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exitcode N program args…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}
