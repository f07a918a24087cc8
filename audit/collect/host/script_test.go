package host

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/audit"
)

// told is what is known of the settings that a script makes: those that are known, and the names of
// those that are not; * stands for all others.
func told(s *audit.Settings) string {
	var all []string
	for _, name := range flagNames(s) {
		v := s.Values[name]
		switch {
		case v.Partial:
			all = append(all, name+"~"+v.Value)
		case s.Fault(name) != "":
			all = append(all, name+"?")
		default:
			all = append(all, name+"="+v.Value)
		}
	}
	for _, f := range s.Faults {
		if f.Subject == "" {
			all = append(all, "*")
		} else if _, found := s.Values[f.Subject]; !found {
			all = append(all, f.Subject+"?")
		}
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), " ")
}

func TestScripts(t *testing.T) {
	t.Parallel()
	env := []variable{{"NODE_IP", "10.0.0.1"}, {"ETCD_LOG_LEVEL", "warn"}, {"ARGS", "--client-cert-auth=false --name=x"}, {"EMPTY", ""}}
	files := map[string]string{"/run.sh": "#!/usr/bin/env bash\nexec etcd --name=$1 \"${@:2}\"\n", "/all.sh": "#!/bin/sh -e\nexec etcd \"$@\"\n", "/conf": "ETCD_NAME=conf\n", "/binary": "\x7fELF"}
	for name, c := range map[string]struct{ script, want string }{
		"literal":                {"etcd --client-cert-auth=false --name a", "client-cert-auth=false name=a"},
		"OpenShift's wrappers":   {"exec nice -n -19 ionice -c2 -n0 etcd --client-cert-auth=false --name=a || mv /a /b", "client-cert-auth=false name=a"},
		"variable of the Pod":    {"exec etcd --listen-client-urls=http://${NODE_IP}:2379 --name=$EMPTY", "listen-client-urls=http://10.0.0.1:2379 name="},
		"unknown variable":       {"exec etcd --listen-client-urls=http://${POD_IP}:2379 --name=a", "listen-client-urls~http://${POD_IP}:2379 name=a"},
		"substitution":           {"exec etcd --name=$(hostname) --auto-tls", "auto-tls=true name~$(…)"},
		"backquotes":             {"etcd --name `hostname -s`", "name~$(…)"},
		"in quotes":              {`etcd "--name=a b" '--data-dir=/x$y' --wal-dir="/w/$NODE_IP"`, "data-dir=/x$y log-level=warn name=a b wal-dir=/w/10.0.0.1"},
		"assigned":               {"A=1; B=$A$A; etcd --name=$B", "name=11"},
		"assigned in a branch":   {"A=1; if [ -f /x ]; then A=2; fi; etcd --name=$A", "name~${A}"},
		"assigned by &&":         {"A=1; [ -f /x ] && A=2; etcd --name=$A", "name~${A}"},
		"assigned in a loop":     {"for A in 1 2; do true; done; etcd --name=$A", "name~${A}"},
		"assigned in a subshell": {"A=1; (A=2); etcd --name=$A", "name=1"},
		"assigned by case":       {"A=1; case $X in a) A=2;; esac; etcd --name=$A", "name~${A}"},
		"read":                   {"A=1; read A; etcd --name=$A", "name~${A}"},
		"default":                {"etcd --name=${EMPTY:-d} --data-dir=${NODE_IP:-d} --wal-dir=${POD_IP:-d}", "data-dir=10.0.0.1 name=d wal-dir~${POD_IP}"},
		"exported":               {"export ETCD_NAME=a ETCD_QUOTA_BACKEND_BYTES=$(q); A=1; ETCD_AUTO_TLS=true; etcd", "name=a quota-backend-bytes~$(…)"},
		"all exported":           {"set -a; ETCD_NAME=a; set +a; etcd", "name=a"},
		"exported in a branch":   {"if x; then export ETCD_CLIENT_CERT_AUTH=true; fi; etcd", "client-cert-auth~${ETCD_CLIENT_CERT_AUTH}"},
		"in front of it":         {"ETCD_NAME=a GOMAXPROCS=$(nproc) etcd --auto-tls", "auto-tls=true name=a"},
		"env":                    {"env -u X ETCD_NAME=a etcd --auto-tls", "auto-tls=true name=a"},
		"words of a variable":    {"exec etcd $ARGS", "client-cert-auth=false name=x"},
		"grown words":            {"A=--auto-tls; A=\"$A --name=a\"; exec etcd $A", "auto-tls=true name=a"},
		"unknown words":          {"exec etcd --name=a $EXTRA --client-cert-auth=false", "* client-cert-auth=false name?"},
		"unknown word for value": {"exec etcd --name $POD_NAME --auto-tls", "auto-tls=true name~${POD_NAME}"},
		"array":                  {"A=(--name=a); A+=(--auto-tls --data-dir=\"/x y\"); exec etcd \"${A[@]}\"", "auto-tls=true data-dir=/x y log-level=warn name=a"},
		"array of a branch":      {"A=(--name=a); if x; then A+=(--auto-tls); fi; exec etcd \"${A[@]}\"", "*"},
		"function":               {"run() { exec etcd --name=$1 \"$@\"; }; run a --auto-tls", "* name=a"},
		"function's arguments":   {"run() { n=$1; shift; exec etcd --name=$n \"$@\"; }; run a --auto-tls", "auto-tls=true name=a"},
		"set --":                 {"set -eu; set -- etcd --name=a; exec \"$@\" --auto-tls", "auto-tls=true name=a"},
		"pipe":                   {"etcd --name=a 2>&1 | tee /var/log/etcd.log", "name=a"},
		"in the background":      {"trap x TERM; etcd --name=a & wait", "name=a"},
		"while":                  {"while true; do etcd --name=a; sleep 1; done", "name=a"},
		"two ways":               {"if x; then exec etcd --name=a --auto-tls; else exec etcd --name=a; fi", "auto-tls? name=a"},
		"which":                  {"exec $(which etcd) --name=a; exec `command -v etcd` --name=a", "name=a"},
		"by a variable":          {"BIN=/usr/local/bin/etcd; exec $BIN --name=a", "name=a"},
		"by anything":            {"if x; then exec etcd --name=a; fi; exec \"$@\"", "name=a"},
		"by anything unknown":    {"if x; then exec etcd --name=a; fi; exec $CMD", "* log-level? name?"},
		"a shell in the shell":   {"su-exec etcd sh -c 'exec etcd --name=a'", "name=a"},
		"a file":                 {"exec /run.sh m1 --auto-tls", "* name?"},
		"another file":           {"exec /all.sh --name=m1 --auto-tls", "auto-tls=true name=m1"},
		"sh and a file":          {"sh -e /all.sh --name=m1", "name=m1"},
		"source":                 {"set -a; . /conf; exec etcd --auto-tls", "auto-tls=true name=conf"},
		"source that is not":     {". /gone; exec etcd --auto-tls --wal-dir=$NODE_IP", "* auto-tls=true log-level~${ETCD_LOG_LEVEL} wal-dir~${NODE_IP}"},
		"eval":                   {"eval \"exec etcd --name=$NODE_IP\"", "name=10.0.0.1"},
		"comments and lines":     {"#!/bin/sh\n# etcd --auto-tls\nexec etcd \\\n  --name=a \\\n  --data-dir=/d\n", "data-dir=/d name=a"},
		"kubelet's own variable": {"exec etcd --name=$(POD_NAME)", "name~$(…)"},
		"a restore before it":    {"etcdctl snapshot restore /s.db --data-dir=/x --name=b\nexec etcd --name=a", "name=a"},
		"a version before it":    {"etcd --version; exec etcd --name=a", "name=a"},
		"home":                   {"exec etcd --data-dir=~/etcd --wal-dir ~/w", "data-dir=~/etcd wal-dir~${HOME}/w"},

		"grpc-proxy":         {"exec nice -n -18 etcd grpc-proxy start --endpoints https://10.0.0.1:9978", "none"},
		"gateway":            {"etcd gateway start", "none"},
		"only the version":   {"etcd --version", "none"},
		"etcdctl":            {"etcdctl snapshot save /backup/etcd; sleep infinity & wait", "none"},
		"a restore":          {"etcdutl snapshot restore /s.db --data-dir /var/lib/etcd && mv /var/lib/etcd /var/lib/etcd.old", "none"},
		"words about it":     {"echo \"etcd is started\"; echo 'etcd --name=a'; tail -f /var/lib/etcd", "none"},
		"a here-document":    {"cat <<EOF >/etc/etcd.sh\nexec etcd --name=a\nEOF\n", "none"},
		"a trap":             {"trap 'etcd --name=a' EXIT; sleep 1", "none"},
		"a user of its name": {"runuser -u etcd -- backup --to=/etcd; chown etcd /x", "none"},
		"a binary":           {"exec /binary etcd", "none"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := launch{argv: []string{"/bin/sh", "-c", c.script}, env: env, readFile: func(name string) ([]byte, error) {
				if text, found := files[name]; found {
					return []byte(text), nil
				}
				return nil, errors.New("it is not there")
			}}
			got := "none"
			if found := l.follow(); len(found.invocations) > 0 {
				inv := found.invocations[0]
				inv.view = &view{elsewhere: errOffline, dir: "/"}
				got = told(inv.settings("h"))
			}
			want := c.want
			if want != "none" && !strings.Contains(want, "log-level") {
				words := append(strings.Fields(want), "log-level=warn")
				want = strings.Join(sortText(words), " ")
			}
			if got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}
