package census_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/census"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
	"github.com/etcdsec/etcdsec/internal/oracle"
)

// The test binary is also the programs that are measured, so that each has a process of its own.
const (
	programVariable  = "ETCDSEC_CENSUS_PROGRAM"
	endpointVariable = "ETCDSEC_CENSUS_ENDPOINT"
	// keysVariable is how many keys a benchmark stores; 100,000 if it is not set.
	keysVariable = "ETCDSEC_CENSUS_KEYS"
)

func runProgram(name string) int {
	ctx, endpoint := context.Background(), os.Getenv(endpointVariable)
	var n int64
	var err error
	switch name {
	case "census", "census-paged":
		n, err = wholeCensus(ctx, endpoint, name == "census-paged")
	case endlessProgram:
		for err == nil { // until it is killed
			n, err = wholeCensus(ctx, endpoint, false)
		}
	case "loop":
		n, err = pagedLoop(ctx, endpoint)
	default:
		err = fmt.Errorf("no program %q", name)
	}
	_, _ = fmt.Fprintln(os.Stdout, n) // who reads it misses it
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func wholeCensus(ctx context.Context, endpoint string, paged bool) (int64, error) {
	l := live(endpoint)
	if paged {
		l = l.Paged()
	}
	l.Rate, _ = strconv.Atoi(os.Getenv(rateVariable)) // 0 is no limit
	c, err := l.Census(ctx)
	if err == nil && !c.Complete {
		err = fmt.Errorf("incomplete: %s", c.Reason)
	}
	return c.Objects, err
}

// pagedLoop reads all keys as anybody would with etcd's own client.
func pagedLoop(ctx context.Context, endpoint string) (int64, error) {
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, Logger: zap.NewNop()})
	if err != nil {
		return 0, err
	}
	defer client.Close()
	var n int64
	writers := map[audit.Provider]int64{}
	from, end, revision := "/registry/", clientv3.GetPrefixRangeEnd("/registry/"), int64(0)
	for {
		response, err := client.Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(1000), clientv3.WithSerializable(), clientv3.WithRev(revision))
		if err != nil {
			return n, err
		}
		revision = response.Header.Revision
		for _, kv := range response.Kvs {
			writers[census.Classifier{}.Classify(kv.Value).Provider]++
			n++
		}
		if !response.More {
			return n, nil
		}
		from = string(response.Kvs[len(response.Kvs)-1].Key) + "\x00"
	}
}

func benchmarkKeys(b *testing.B) int {
	b.Helper()
	written := os.Getenv(keysVariable)
	if written == "" {
		return 100_000
	}
	n, err := strconv.Atoi(written)
	if err != nil || n < 1 {
		b.Fatalf("%s=%s: want a number of keys", keysVariable, written)
	}
	return n
}

// BenchmarkLive reads a store of values of 1 KiB, by the census without a limit of its rate
// and by what it is measured against, each in a process of its own.
func BenchmarkLive(b *testing.B) {
	keys := benchmarkKeys(b)
	endpoint, _, _ := etcdtest.Plain(b, etcdtest.V3_7, "--quota-backend-bytes=8589934592", "--unsafe-no-fsync")
	fill(b, dial(b, endpoint), keys, 1024)
	etcdctl, err := oracle.Binary(b.Context(), "etcdctl", os.Stderr)
	if err != nil {
		b.Fatal(err)
	}
	for _, program := range []string{etcdctlProgram, "loop", "census-paged", "census"} {
		b.Run(fmt.Sprintf("%s/keys=%d", program, keys), func(b *testing.B) {
			var peak int64
			for b.Loop() {
				peak = max(peak, measured(b, program, etcdctl, endpoint, keys))
			}
			const most = 64 << 10 // KiB, of any store
			if strings.HasPrefix(program, "census") && peak > most {
				b.Errorf("the census took %d MiB", peak>>10)
			}
			b.ReportMetric(float64(b.Elapsed().Seconds())/float64(b.N), "s")
			b.ReportMetric(float64(peak)/1024, "MiB-RSS")
		})
	}
}

// etcdctlProgram is etcd's own client; the others are this binary.
const etcdctlProgram = "etcdctl-get"

// measured runs a program and returns its peak memory in KiB.
func measured(b *testing.B, program, etcdctl, endpoint string, keys int) int64 {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), programVariable+"="+program, endpointVariable+"="+endpoint)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if program == etcdctlProgram {
		cmd = exec.CommandContext(ctx, etcdctl, "get", "--prefix", "/registry/", "--endpoints=http://"+endpoint, "--command-timeout=5m")
		cmd.Stdout, cmd.Stderr = nil, os.Stderr // it prints every value
	}
	if err := cmd.Run(); err != nil {
		b.Fatal(err)
	}
	if got := out.String(); program != etcdctlProgram && got != fmt.Sprintln(keys) {
		b.Fatalf("%s saw %q keys, want %d", program, got, keys)
	}
	return cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss
}
