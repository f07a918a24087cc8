package host_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit/collect/host"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// What is said not to start does not start: the real servers refuse it, each version.
func TestRefusedByEtcd(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args, env, config, want string
	}{
		"flag and environment":       {"--name=a", "ETCD_NAME=b", "", "conflicts with the flag --name"},
		"flag and empty environment": {"--name=a", "ETCD_NAME=", "", "conflicts with the flag --name"},
		"a word behind a switch":     {"--client-cert-auth true", "", "", `"true" is not a valid flag`},
		"no truth":                   {"--client-cert-auth=yes", "", "", "is not true or false"},
		"no truth in environment":    {"", "ETCD_CLIENT_CERT_AUTH=yes", "", "is not true or false"},
		"no value":                   {"--name", "", "", "--name needs a value"},
		"three dashes":               {"---name=a", "", "", "is not a flag"},
		"text for truth in a file":   {"--config-file=@", "", `enable-pprof: "true"`, "enable-pprof: want true or false"},
		"number for text in a file":  {"", "ETCD_CONFIG_FILE=@", "name: 12", "name: want a text"},
		"text for list in a file":    {"--config-file=@", "", "log-outputs: stderr", "log-outputs: want a list"},
		"text for number in a file":  {"--config-file=@", "", `max-wals: "5"`, "max-wals: want a number"},
		"text for mapping in a file": {"--config-file=@", "", "client-transport-security: x", "want a mapping"},
		"broken file":                {"--config-file=@", "", "name: [", "not YAML"},
		"file that is not there":     {"--config-file=/nowhere", "", "", "could not be read: it is not there"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := filepath.Join(dir, "file.yaml")
			writeFile(t, file, c.config+"\n")
			fields := func(s string) []string { return strings.Fields(strings.ReplaceAll(s, "@", file)) }
			for _, version := range etcdtest.Versions() {
				binary, err := etcdtest.Binary(t.Context(), version, os.Stderr)
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
				cmd := exec.CommandContext(ctx, binary, fields(c.args)...)
				cmd.Dir, cmd.Env = dir, append(os.Environ(), fields(c.env)...)
				out, err := cmd.CombinedOutput()
				cancel()
				if err == nil || cmd.ProcessState.ExitCode() <= 0 {
					t.Errorf("%s: %v\n%s", version, err, out)
				}
			}
			// The same as an enabled unit.
			var unit strings.Builder
			unit.WriteString("[Service]\nExecStart=/usr/bin/etcd " + strings.ReplaceAll(c.args, "@", "/file.yaml") + "\n")
			if c.env != "" {
				unit.WriteString("Environment=" + strings.ReplaceAll(c.env, "@", "/file.yaml") + "\n")
			}
			h := look(t, host.Config{Root: tree(t, map[string]string{
				"etc/systemd/system/etcd.service": unit.String(), "etc/systemd/system/x.wants/etcd.service": "-> ../etcd.service", "file.yaml": c.config + "\n",
			})})
			var reasons []string
			for _, f := range h.Etcds[0].Faults {
				reasons = append(reasons, f.Reason)
			}
			if !strings.Contains(strings.Join(reasons, "\n"), c.want) {
				t.Errorf("got %q, want %q", reasons, c.want)
			}
		})
	}
}
