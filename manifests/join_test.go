package manifests

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// A member that the spec gained joins the live cluster: its certificates come from issuing
// CAs that were extended for it, which the running members accept without a restart.
func TestGainedMemberJoinsALiveCluster(t *testing.T) {
	dir := t.TempDir()
	store := filepath.Join(dir, "store")
	three := start(t, dir, etcdtest.V3_6, "runtime: systemd", "")
	line := "      - {name: etcd-2, addresses: [127.0.0.3]}\n"
	four, err := cluster.Read("cluster.yaml", strings.NewReader(strings.Replace(string(three.YAML), line, line+"      - {name: etcd-3, addresses: [127.0.0.4], joining: true}\n", 1)))
	if err != nil {
		t.Fatal(err)
	}
	issue(t, four, store)
	joining, ok := four.Member("etcd-3")
	if !ok {
		t.Fatal("the spec did not gain a member")
	}

	client := dial(t, three, store)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	addMember(ctx, t, client, fmt.Sprintf("https://%s:%d", joining.Advertised(), four.Etcd.PeerPort))
	files, err := Member(four, joining)
	if err != nil {
		t.Fatal(err)
	}
	etcdtest.Run(t, etcdtest.Config{
		Name: joining.Name, Version: etcdtest.V3_6, Dir: dir, Args: arguments(t, dir, files[0]),
		HealthURL: fmt.Sprintf("http://%s:%d/health", joining.Advertised(), four.Etcd.MetricsPort),
	})
	list, err := client.MemberList(ctx)
	if err != nil {
		t.Fatal(err)
	}
	started := 0
	for _, m := range list.Members {
		if m.Name != "" {
			started++
		}
	}
	if started != 4 {
		t.Errorf("members: %v", list.Members)
	}
}

// addMember waits until the members have been connected for etcd's health interval of 5 s;
// before that, --strict-reconfig-check refuses.
func addMember(ctx context.Context, t *testing.T, client *clientv3.Client, peerURL string) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := client.MemberAdd(ctx, []string{peerURL})
		if err == nil {
			return
		}
		if !errors.Is(err, rpctypes.ErrUnhealthy) {
			t.Fatal(err)
		}
		<-tick.C
	}
}

// dial connects to a cluster's first member with a client certificate of its store.
func dial(t *testing.T, c *cluster.Cluster, store string) *clientv3.Client {
	t.Helper()
	pair := filepath.Join(store, "clients", "kube-apiserver", "client")
	cert, err := tls.LoadX509KeyPair(pair+".crt", pair+".key")
	if err != nil {
		t.Fatal(err)
	}
	client, err := clientv3.New(clientv3.Config{
		Context:   t.Context(),
		Endpoints: []string{fmt.Sprintf("https://%s:%d", c.Etcd.Members[0].Advertised(), c.Etcd.ClientPort)},
		TLS:       &tls.Config{Certificates: []tls.Certificate{cert}, InsecureSkipVerify: true},
		Logger:    zap.NewNop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	return client
}
