package census_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/etcdsec/etcdsec/audit/census"
)

func TestMain(m *testing.M) {
	if program := os.Getenv(programVariable); program != "" {
		os.Exit(runProgram(program))
	}
	os.Exit(m.Run())
}

// dial connects to members, each host:port without TLS.
func dial(t testing.TB, endpoints ...string) *clientv3.Client {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{Endpoints: endpoints, DialTimeout: time.Minute, Logger: zap.NewNop(), MaxCallSendMsgSize: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// put stores pairs of a key and a value, in few transactions.
func put(t testing.TB, client *clientv3.Client, pairs ...string) {
	t.Helper()
	const most, mostBytes = 100, 1 << 20
	var ops []clientv3.Op
	size := 0
	flush := func() {
		if len(ops) == 0 {
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		if _, err := client.Txn(ctx).Then(ops...).Commit(); err != nil {
			t.Fatal(err)
		}
		ops, size = nil, 0
	}
	for i := 0; i < len(pairs); i += 2 {
		if len(ops) == most || size+len(pairs[i+1]) > mostBytes {
			flush()
		}
		ops = append(ops, clientv3.OpPut(pairs[i], pairs[i+1]))
		size += len(pairs[i+1])
	}
	flush()
}

// sealed is a value as secretbox with a key stores it.
func sealed(random *rand.ChaCha8, key string, size int) string {
	b := make([]byte, max(size, 48))
	_, _ = random.Read(b) // it never fails
	return "k8s:enc:secretbox:v1:" + key + ":" + string(b)
}

func seeded() *rand.ChaCha8 { return rand.NewChaCha8([32]byte(bytes.Repeat([]byte{7}, 32))) }

// fill stores n Secrets of a size in namespaces of 1,000.
func fill(t testing.TB, client *clientv3.Client, n, size int) {
	t.Helper()
	random := seeded()
	var pairs []string
	for i := range n {
		pairs = append(pairs, fmt.Sprintf("/registry/secrets/ns-%04d/secret-%08x", i/1000, random.Uint64()>>32), sealed(random, "k-1", size))
		if len(pairs) == 2000 || i == n-1 {
			put(t, client, pairs...)
			pairs = pairs[:0]
		}
	}
}

func live(endpoints ...string) census.Live {
	l := census.Live{Layout: census.DefaultLayout(), Timeout: time.Minute, Now: time.Now}
	for _, e := range endpoints {
		l.Endpoints = append(l.Endpoints, "http://"+e)
	}
	return l
}
