package delivery_test

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/internal/delivery"
)

type values struct{ Bundle, Address string }

func TestRun(t *testing.T) {
	t.Parallel()
	v := values{"/store/nodes/etcd-0", "10.0.0.11"}
	var told []string
	command := delivery.Command{Argv: []string{"test", "{{.Bundle}} root@{{.Address}}", "=", "/store/nodes/etcd-0 root@10.0.0.11"}, Narrate: func(format string, _ ...any) { told = append(told, format) }}
	if err := command.Run(t.Context(), "etcd-0", v); err != nil {
		t.Error(err)
	}
	if len(told) != 1 {
		t.Errorf("told %q", told)
	}
	// What a shell would act on is an argument like any other.
	if err := (delivery.Command{Argv: []string{"test", "{{.Address}}", "=", "$(reboot); `reboot`"}}).Run(t.Context(), "etcd-0", values{Address: "$(reboot); `reboot`"}); err != nil {
		t.Error(err)
	}
}

func TestRunFails(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		argv []string
		want string
		is   func(error) bool
	}{
		"exit status":         {[]string{"sh", "-c", "echo no room >&2; exit 3"}, "etcd-0: sh: exit status 3: no room", is[*exec.ExitError]},
		"no program":          {[]string{"no-such-program"}, "etcd-0: no-such-program: ", is[*exec.Error]},
		"empty":               {nil, "etcd-0: no program", nil},
		"unknown placeholder": {[]string{"true", "{{.Secret}}"}, "Secret", nil},
		"no template":         {[]string{"true", "{{"}, "etcd-0: ", nil},
	} {
		t.Run(name, func(t *testing.T) {
			err := (delivery.Command{Argv: c.argv}).Run(t.Context(), "etcd-0", values{})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			if c.is != nil && !c.is(err) {
				t.Errorf("the cause of %v is lost", err)
			}
		})
	}
}

func is[E error](err error) bool {
	_, found := errors.AsType[E](err)
	return found
}

// A program that hangs, with a child that keeps its output, ends by the deadline.
func TestDeadline(t *testing.T) {
	t.Parallel()
	err := (delivery.Command{Argv: []string{"sh", "-c", "sleep 600 & sleep 600"}, Timeout: 50 * time.Millisecond}).Run(t.Context(), "etcd-0", values{})
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "etcd-0: sh: ") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := (delivery.Command{Argv: []string{"sleep", "600"}}).Run(ctx, "etcd-0", values{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestOutputIsBounded(t *testing.T) {
	t.Parallel()
	err := (delivery.Command{Argv: []string{"sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x; exit 1"}}).Run(t.Context(), "etcd-0", values{})
	failed, is := errors.AsType[*delivery.Error](err)
	if !is || len(failed.Output) != 2<<10 {
		t.Errorf("keeps %d bytes", len(failed.Output))
	}
}
