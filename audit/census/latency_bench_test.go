package census_test

import (
	"os"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcdsec/etcdsec/audit/census"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// rateVariable is the --max-rate of the programs that are measured; the default if it is not set.
const rateVariable = "ETCDSEC_CENSUS_RATE"

func benchmarkRate(b *testing.B) int {
	b.Helper()
	written := os.Getenv(rateVariable)
	if written == "" {
		return census.DefaultRate
	}
	n, err := strconv.Atoi(written)
	if err != nil {
		b.Fatalf("%s=%s: want a number of objects", rateVariable, written)
	}
	return n
}

// BenchmarkWriter is the latency of a client that writes without a pause, in turns alone and
// with a census beside it at the default rate.
func BenchmarkWriter(b *testing.B) {
	keys, rate := benchmarkKeys(b), benchmarkRate(b)
	endpoint, _, _ := etcdtest.Plain(b, etcdtest.V3_6, "--quota-backend-bytes=8589934592")
	client := dial(b, endpoint)
	fill(b, client, keys, 1024)
	beside := startEndless(b, endpoint, rate)
	var took [2][]time.Duration // alone, and beside the census
	for b.Loop() {
		const turn = time.Second
		for i, signal := range []os.Signal{syscall.SIGSTOP, syscall.SIGCONT} {
			if err := beside.Signal(signal); err != nil {
				b.Fatal(err)
			}
			took[i] = append(took[i], written(b, client, turn)...)
		}
	}
	for _, m := range []struct {
		name  string
		share float64
	}{{"p50", 0.5}, {"p99", 0.99}} {
		before, with := quantile(took[0], m.share), quantile(took[1], m.share)
		b.ReportMetric(before.Seconds()*1000, m.name+"-alone-ms")
		b.ReportMetric(with.Seconds()*1000, m.name+"-beside-ms")
		b.ReportMetric(100*(with.Seconds()/before.Seconds()-1), m.name+"-rise-%")
	}
	b.ReportMetric(0, "ns/op") // a turn has a fixed length
}

// written are the latencies of the writes of some time.
func written(b *testing.B, client *clientv3.Client, long time.Duration) []time.Duration {
	b.Helper()
	random := seeded()
	var took []time.Duration
	for began := time.Now(); time.Since(began) < long; {
		value := sealed(random, "k-1", 1024)
		at := time.Now()
		if _, err := client.Put(b.Context(), "/registry/secrets/writer/one", value); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(at))
	}
	return took
}

// endlessProgram takes one census after the other.
const endlessProgram = "census-endless"

func startEndless(b *testing.B, endpoint string, rate int) *os.Process {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), programVariable+"="+endlessProgram, endpointVariable+"="+endpoint, rateVariable+"="+strconv.Itoa(rate))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
	})
	// It is on another machine than a member as a rule; here it takes what the others leave.
	if err := syscall.Setpriority(syscall.PRIO_PROCESS, cmd.Process.Pid, 19); err != nil {
		b.Fatal(err)
	}
	return cmd.Process
}

func quantile(d []time.Duration, share float64) time.Duration {
	slices.Sort(d)
	return d[int(float64(len(d)-1)*share)]
}
