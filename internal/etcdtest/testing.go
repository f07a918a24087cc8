package etcdtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Run starts members, waits until all are healthy, and kills them when the test ends. If the
// test failed, its output has the end of their logs.
func Run(t testing.TB, configs ...Config) []*Member {
	t.Helper()
	members := make([]*Member, 0, len(configs))
	for _, config := range configs {
		members = append(members, startFor(t, config))
	}
	// A member that cannot start ends, which is seen at once. One that takes long is on a busy
	// machine.
	const patience = 5 * time.Minute
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, m := range members {
		if err := m.WaitHealthy(ctx); err != nil {
			t.Fatal(err)
		}
	}
	return members
}

func startFor(t testing.TB, config Config) *Member {
	t.Helper()
	if config.LogPath == "" {
		config.LogPath = filepath.Join(t.TempDir(), config.Name+".log")
	}
	m, err := Start(t.Context(), config, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		m.Kill()
		if t.Failed() {
			t.Logf("log of etcd %s:\n%s", config.Name, m.Log())
		}
	})
	return m
}

// FreePorts returns n free TCP ports of 127.0.0.1.
func FreePorts(t testing.TB, n int) []int {
	t.Helper()
	ports, err := FreePortsOn([]string{"127.0.0.1"}, n)
	if err != nil {
		t.Fatal(err)
	}
	return ports
}

// FreePort returns a free TCP port of 127.0.0.1.
func FreePort(t testing.TB) int {
	t.Helper()
	return FreePorts(t, 1)[0]
}

// Plain starts one member without TLS and without authentication. client and peer are
// host:port.
func Plain(t testing.TB, version string, args ...string) (client, peer string, m *Member) {
	t.Helper()
	ports := FreePorts(t, 2)
	client, peer = fmt.Sprintf("127.0.0.1:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1])
	members := Run(t, Config{
		Name: "plain", Version: version, HealthURL: "http://" + client + "/health",
		Args: append([]string{
			"--name=plain", "--data-dir=" + t.TempDir(),
			"--listen-client-urls=http://" + client, "--advertise-client-urls=http://" + client,
			"--listen-peer-urls=http://" + peer, "--initial-advertise-peer-urls=http://" + peer,
			"--initial-cluster=plain=http://" + peer,
		}, args...),
	})
	return client, peer, members[0]
}
