package clitest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// HostMember is a real etcd with mutual TLS on both ports, and a folder that looks like the root of its
// host. The folder has a copy of what Linux shows about the process, and so no other etcd of this
// machine.
type HostMember struct {
	Root, Dir             string
	Client, Peer, Metrics string // host:port
}

// StartHostMember starts a HostMember with more flags. In a flag, CLIENT means the address of its client
// port, HTTP another free address, and DIR the folder of its files.
func StartHostMember(t *testing.T, more ...string) HostMember {
	t.Helper()
	ports := etcdtest.FreePorts(t, 4)
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	m := HostMember{Root: t.TempDir(), Client: at(0), Peer: at(1), Metrics: at(2)}
	m.Dir = filepath.Join(m.Root, "srv/etcd")
	clients, members := NewIdentity(t, time.Time{}), NewIdentity(t, time.Time{})
	for from, to := range map[string]string{
		clients.CAPath: "ca.crt", clients.Cert: "healthcheck-client.crt", clients.Key: "healthcheck-client.key",
		members.CAPath: "peer-ca.crt", members.Cert: "peer.crt", members.Key: "peer.key",
	} {
		data, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		WriteFileBelow(t, filepath.Join(m.Dir, to), string(data))
	}
	path := func(name string) string { return filepath.Join(m.Dir, name) }
	for i, arg := range more {
		more[i] = strings.NewReplacer("HTTP", at(3), "CLIENT", at(0), "DIR", m.Dir).Replace(arg)
	}
	member := etcdtest.Run(t, etcdtest.Config{
		Name: "m0", Path: path("etcd"), HealthURL: "http://" + m.Metrics + "/health", LogPath: path("log"),
		Args: append([]string{
			"--name=m0", "--data-dir=" + path("data"), "--initial-cluster=m0=https://" + m.Peer,
			"--listen-client-urls=https://" + m.Client, "--advertise-client-urls=https://" + m.Client,
			"--cert-file=" + path("healthcheck-client.crt"), "--key-file=" + path("healthcheck-client.key"), "--trusted-ca-file=" + path("ca.crt"), "--client-cert-auth", "--enable-grpc-gateway=false", "--tls-min-version=TLS1.3",
			"--listen-peer-urls=https://" + m.Peer, "--initial-advertise-peer-urls=https://" + m.Peer,
			"--peer-cert-file=" + path("peer.crt"), "--peer-key-file=" + path("peer.key"), "--peer-trusted-ca-file=" + path("peer-ca.crt"), "--peer-client-cert-auth",
			"--listen-metrics-urls=http://" + m.Metrics,
		}, more...),
	})[0]
	proc := fmt.Sprintf("/proc/%d", member.PID())
	for _, name := range []string{"cmdline", "environ", "stat"} {
		data, err := os.ReadFile(filepath.Join(proc, name))
		if err != nil {
			t.Fatal(err)
		}
		// The paths are of the host, whose root is here.
		WriteFileBelow(t, filepath.Join(m.Root, proc, name), strings.ReplaceAll(string(data), m.Root, ""))
	}
	WriteFileBelow(t, filepath.Join(m.Root, "etc/hostname"), "cp-0\n")
	return m
}
