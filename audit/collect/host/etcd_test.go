package host_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/collect/host"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// server is a real etcd to be, and where its files are.
type server struct {
	dir, name              string
	client, peer, metrics  string // host:port
	data                   string
	clientURL, metricsURL  string
	peerURL, initalCluster string
}

func newServer(t *testing.T) server {
	t.Helper()
	ports := etcdtest.FreePorts(t, 3)
	s := server{dir: t.TempDir(), name: fmt.Sprintf("m%d", ports[0])}
	s.client, s.peer, s.metrics = fmt.Sprintf("127.0.0.1:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1]), fmt.Sprintf("127.0.0.1:%d", ports[2])
	s.clientURL, s.peerURL, s.metricsURL = "http://"+s.client, "http://"+s.peer, "http://"+s.metrics
	s.initalCluster = s.name + "=" + s.peerURL
	s.data = filepath.Join(s.dir, "data")
	return s
}

// start runs it under the name by which it is looked for.
func (s server) start(t *testing.T, version string, env []string, args ...string) *etcdtest.Member {
	t.Helper()
	return etcdtest.Run(t, etcdtest.Config{
		Name: s.name, Version: version, HealthURL: s.clientURL + "/health", Env: env, Args: args,
		Dir: s.dir, Path: filepath.Join(s.dir, "etcd"), LogPath: filepath.Join(s.dir, "log"),
	})[0]
}

func (s server) args() []string {
	return []string{
		"--name=" + s.name, "-data-dir", s.data, "--listen-client-urls", s.clientURL, "--advertise-client-urls=" + s.clientURL,
		"--listen-peer-urls=" + s.peerURL, "-initial-advertise-peer-urls=" + s.peerURL, "--initial-cluster=" + s.initalCluster,
		"--listen-metrics-urls=" + s.metricsURL,
	}
}

func (s server) env() []string {
	return []string{
		"ETCD_NAME=" + s.name, "ETCD_DATA_DIR=" + s.data, "ETCD_LISTEN_CLIENT_URLS=" + s.clientURL, "ETCD_ADVERTISE_CLIENT_URLS=" + s.clientURL,
		"ETCD_LISTEN_PEER_URLS=" + s.peerURL, "ETCD_INITIAL_ADVERTISE_PEER_URLS=" + s.peerURL, "ETCD_INITIAL_CLUSTER=" + s.initalCluster,
		"ETCD_LISTEN_METRICS_URLS=" + s.metricsURL,
	}
}

func (s server) config(t *testing.T, more string) string {
	t.Helper()
	at := filepath.Join(s.dir, "etcd.conf.yaml")
	text := fmt.Sprintf("name: %s\ndata-dir: %s\nlisten-client-urls: %s\nadvertise-client-urls: %s\nlisten-peer-urls: %s\ninitial-advertise-peer-urls: %s\ninitial-cluster: %s\nlisten-metrics-urls: %s\n%s",
		s.name, s.data, s.clientURL, s.clientURL, s.peerURL, s.peerURL, s.initalCluster, s.metricsURL, more)
	writeFile(t, at, text)
	return at
}

func writeFile(t *testing.T, at, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(at), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// find looks at this machine and picks an etcd by its name: other tests run some as well.
func find(t *testing.T, config host.Config, name string) (*host.Host, *audit.Settings) {
	t.Helper()
	h, err := host.Find(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(h.Etcds, func(s *audit.Settings) bool { return s.Value("name") == name })
	if at < 0 {
		t.Fatalf("%s was not found: %+v", name, h)
	}
	return h, h.Etcds[at]
}

// values are the settings as "value (source)", with what they override.
func values(s *audit.Settings) map[string]string {
	all := map[string]string{}
	for name, v := range s.Values {
		all[name] = fmt.Sprintf("%s (%s)", v.Value, v.Source)
		if len(v.Overridden) > 0 {
			all[name] += " [" + v.OverriddenText() + "]"
		}
	}
	return all
}

func (s server) want(source string) map[string]string {
	want := map[string]string{}
	for name, value := range map[string]string{
		"name": s.name, "data-dir": s.data, "listen-client-urls": s.clientURL, "advertise-client-urls": s.clientURL,
		"listen-peer-urls": s.peerURL, "initial-advertise-peer-urls": s.peerURL, "initial-cluster": s.initalCluster, "listen-metrics-urls": s.metricsURL,
	} {
		want[name] = value + " (" + source + ")"
	}
	return want
}

// Real servers of each version, told by flags, by the environment and by a configuration
// file, are found with what they run with, by what Linux says of them.
func TestRunningEtcd(t *testing.T) {
	t.Parallel()
	for _, version := range etcdtest.Versions() {
		for name, run := range map[string]func(t *testing.T, s server) map[string]string{
			"flags": func(t *testing.T, s server) map[string]string {
				s.start(t, version, []string{"ETCD_LOG_LEVEL=warn", "ETCD_NO_SUCH=1"}, append(s.args(), "--enable-pprof=false", "--enable-pprof", "--logger", "zap")...)
				want := s.want("flag")
				want["enable-pprof"] = "true (flag) [flag --enable-pprof=false: it is given again, and the last counts]"
				want["logger"] = "zap (flag)"
				want["log-level"] = "warn (environment)"
				return want
			},
			"environment": func(t *testing.T, s server) map[string]string {
				s.start(t, version, append(s.env(), "ETCD_ENABLE_PPROF=1", "ETCD_WAL_DIR="), "--log-level=warn")
				want := s.want("environment")
				want["enable-pprof"] = "1 (environment)"
				want["log-level"] = "warn (flag)"
				return want
			},
			"config file": func(t *testing.T, s server) map[string]string {
				at := s.config(t, "Enable-Pprof: yes\nlog-level: warn\nlog-level: error\nlog-outputs: [stderr]\n")
				s.start(t, version, []string{"ETCD_NAME=other"}, "--config-file", at, "--name=another", "--client-cert-auth")
				source := "config file " + at
				want := s.want(source)
				want["config-file"] = at + " (flag)"
				want["enable-pprof"] = "true (" + source + ")"
				want["log-level"] = "error (" + source + ")"
				want["log-outputs"] = "stderr (" + source + ")"
				want["client-cert-auth"] = " () [flag --client-cert-auth=true: a config file replaces all flags]"
				want["name"] += " [flag --name=another: a config file replaces all flags; environment ETCD_NAME=other: a config file replaces the environment]"
				return want
			},
			"config file by environment": func(t *testing.T, s server) map[string]string {
				at := s.config(t, "")
				s.start(t, version, []string{"ETCD_CONFIG_FILE=etcd.conf.yaml"})
				want := s.want("config file " + at)
				want["config-file"] = "etcd.conf.yaml (environment)"
				return want
			},
		} {
			t.Run(version+"/"+name, func(t *testing.T) {
				t.Parallel()
				s := newServer(t)
				want := run(t, s)
				h, got := find(t, host.Config{}, s.name)
				if diff := cmp.Diff(want, values(got)); diff != "" {
					t.Errorf("settings (-want +got):\n%s", diff)
				}
				if got.Program != "etcd" || got.Origin != "process "+s.name || got.Version != version || !got.Running || got.Host == "" {
					t.Errorf("got %+v", got)
				}
				for _, f := range got.Faults {
					if f.Subject != "environment ETCD_NO_SUCH" {
						t.Errorf("fault %+v", f)
					}
				}
				var listeners []string
				for _, l := range h.Listeners {
					if l.Of == got {
						listeners = append(listeners, string(l.Kind)+" "+l.Address+" "+strings.Join(l.Names, ","))
					}
				}
				wantListeners := []string{"client " + s.client + " 127.0.0.1", "peer " + s.peer + " 127.0.0.1", "metrics " + s.metrics + " "}
				if diff := cmp.Diff(wantListeners, listeners); diff != "" {
					t.Errorf("listeners (-want +got):\n%s", diff)
				}
				at := slices.IndexFunc(got.Files, func(f audit.File) bool { return f.Role == audit.DataDir })
				if at < 0 || got.Files[at].Path != s.data || !got.Files[at].Mode.IsDir() || got.Files[at].Mode.Perm() != 0o700 || got.Files[at].Reason != "" {
					t.Errorf("files %+v", got.Files)
				}
			})
		}
	}
}

// A configuration file that was written again after the process started is not what it runs with.
func TestConfigFileChangedSince(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	at := s.config(t, "")
	member := s.start(t, etcdtest.V3_6, nil, "--config-file="+at)
	if _, got := find(t, host.Config{}, s.name); got.Fault(at) != "" {
		t.Errorf("fault %q of a file that is older", got.Fault(at))
	}
	info, err := os.Stat(filepath.Join("/proc", fmt.Sprint(member.PID())))
	if err != nil {
		t.Fatal(err)
	}
	later := info.ModTime().Add(5e9)
	if err := os.Chtimes(at, later, later); err != nil {
		t.Fatal(err)
	}
	_, got := find(t, host.Config{}, s.name)
	if !strings.Contains(got.Fault(at), "changed after the process started") || got.Fault("name") != "" {
		t.Errorf("faults %+v", got.Faults)
	}
	if err := os.Remove(at); err != nil {
		t.Fatal(err)
	}
	h, err := host.Find(t.Context(), host.Config{})
	if err != nil {
		t.Fatal(err)
	}
	found := slices.IndexFunc(h.Etcds, func(s *audit.Settings) bool { return s.Value("config-file") == at })
	if found < 0 {
		t.Fatal("not found")
	}
	if got := h.Etcds[found]; !strings.Contains(got.Fault("client-cert-auth"), "configuration file") || got.Fault(at) == "" || got.Fault("config-file") != "" {
		t.Errorf("%+v", got)
	}
}
