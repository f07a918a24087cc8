package main

import (
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// layout holds the addresses of the demo's members. Each has its own loopback address, so that all
// use the same ports, as on real nodes.
type layout struct {
	hosts                []string
	client, peer, metric int
	weakClient, weakPeer int
}

func newLayout() (layout, error) {
	l := layout{hosts: []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"}}
	ports, err := etcdtest.FreePortsOn(l.hosts, 5)
	if err != nil {
		return layout{}, err
	}
	l.client, l.peer, l.metric, l.weakClient, l.weakPeer = ports[0], ports[1], ports[2], ports[3], ports[4]
	return l, nil
}

func memberName(i int) string { return fmt.Sprintf("etcd-%d", i) }

func (l layout) clientEndpoint(i int) string {
	return net.JoinHostPort(l.hosts[i], strconv.Itoa(l.client))
}

// spec returns the demo's cluster.yaml. On a real cluster, pkiDir and dataDir are the same on
// every node; here they hold the name, which keeps the members of one machine apart.
func (l layout) spec(dir, version string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Written by etcdsec-demo.
apiVersion: etcdsec.dev/v1alpha1
kind: Cluster
metadata: {name: demo}
spec:
  etcd:
    version: %q
    runtime: systemd
    clientPort: %d
    peerPort: %d
    metricsPort: %d
    pkiDir: %q
    dataDir: %q
    members:
`, version, l.client, l.peer, l.metric,
		filepath.Join(dir, "store", "nodes", "{{.Name}}", "pki"), filepath.Join(dir, "data", "{{.Name}}"))
	for i, host := range l.hosts {
		fmt.Fprintf(&b, "      - {name: %s, addresses: [%s]}\n", memberName(i), host)
	}
	return b.String()
}
