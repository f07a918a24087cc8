package status_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/etcdsec/etcdsec/pki"
	"github.com/etcdsec/etcdsec/pki/status"
	"github.com/etcdsec/etcdsec/pki/throwaway"
)

func now() time.Time { return time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC) }

const day = 24 * time.Hour

// authority makes a CA that is valid for a year on both sides of now.
func authority(t *testing.T) *throwaway.CA {
	t.Helper()
	ca, err := throwaway.New(throwaway.Config{CommonName: "issuing", NotBefore: now().Add(-365 * day), NotAfter: now().Add(1000 * day)})
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func newKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// leaf signs a certificate for the server at 127.0.0.1, with what change makes of it.
func leaf(t *testing.T, ca *throwaway.CA, change func(*throwaway.Leaf)) *x509.Certificate {
	t.Helper()
	l := throwaway.Leaf{
		CommonName: "etcd-0", IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, EKUs: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		NotBefore: now().Add(-10 * day), NotAfter: now().Add(80 * day), Serial: big.NewInt(7),
	}
	if change != nil {
		change(&l)
	}
	signed, err := ca.Leaf(l)
	if err != nil {
		t.Fatal(err)
	}
	return signed.Leaf
}

func held(name string, inStore bool, chain ...*x509.Certificate) status.Held {
	return status.Held{Status: pki.Status{Source: name + ".crt", Name: name, Role: "server", State: pki.StateOK, Chain: chain}, InStore: inStore}
}

const address = "127.0.0.1:2379"

func TestCompare(t *testing.T) {
	ca := authority(t)
	key := newKey(t)
	served := leaf(t, ca, func(l *throwaway.Leaf) { l.Key = key })
	newer := leaf(t, ca, func(l *throwaway.Leaf) { l.NotBefore, l.Serial = now().Add(-day), big.NewInt(9) })
	older := leaf(t, ca, func(l *throwaway.Leaf) { l.NotBefore, l.Serial = now().Add(-20*day), big.NewInt(5) })
	sameKey := leaf(t, ca, func(l *throwaway.Leaf) { l.Key, l.Serial, l.CommonName = key, big.NewInt(11), "renamed" })
	elsewhere := leaf(t, ca, func(l *throwaway.Leaf) { l.IPs = []net.IP{net.IPv4(127, 0, 0, 2)} })
	forPeers := leaf(t, ca, func(l *throwaway.Leaf) {
		l.EKUs = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	})
	otherSubject := leaf(t, ca, func(l *throwaway.Leaf) { l.CommonName, l.Serial = "etcd-1", big.NewInt(13) })
	caRow := held("ca", false, served)
	caRow.Role = pki.RoleCA
	for _, c := range []struct {
		name   string
		onDisk []status.Held
		live   status.Live
		of     string // the certificate on the disk that it was compared with; none if empty
		detail string
	}{
		{name: "nothing on the disk"},
		{name: "the same", onDisk: []status.Held{held("server", false, served)}, live: status.LiveServed, of: "server"},
		{name: "a store that has a newer one", onDisk: []status.Held{held("server", true, newer)}, live: status.LiveBehind, of: "server", detail: "server.crt has serial number 09; copy it to the node"},
		{name: "a folder of the server with another", onDisk: []status.Held{held("server", false, newer)}, live: status.LiveRestart, of: "server", detail: "server.crt has serial number 09, and the server presents another"},
		{name: "an older one in a folder", onDisk: []status.Held{held("server", false, older)}, live: status.LiveDiskPast, of: "server", detail: "server.crt has serial number 05, which is older"},
		{name: "an older one in a store", onDisk: []status.Held{held("server", true, older)}, live: status.LiveDiskPast, of: "server", detail: "which is older"},
		{name: "for another host", onDisk: []status.Held{held("server", false, elsewhere)}},
		{name: "for other uses", onDisk: []status.Held{held("peer", false, forPeers)}},
		{name: "a CA", onDisk: []status.Held{caRow}},
		{name: "a file that could not be read", onDisk: []status.Held{held("server", false)}},
		{name: "the same before one that has its key", onDisk: []status.Held{held("renamed", false, sameKey), held("server", false, served)}, live: status.LiveServed, of: "server"},
		{name: "one that has its key before one with its subject", onDisk: []status.Held{held("server", true, newer), held("renamed", true, sameKey)}, live: status.LiveBehind, of: "renamed"},
		{name: "one with its subject before any other", onDisk: []status.Held{held("other", true, otherSubject), held("server", true, newer)}, live: status.LiveBehind, of: "server"},
		{name: "the only one for the host", onDisk: []status.Held{held("other", true, otherSubject)}, live: status.LiveBehind, of: "other"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dial := func(context.Context, string) ([]*x509.Certificate, error) { return []*x509.Certificate{served}, nil }
			rows := status.Compare(t.Context(), []string{address}, dial, c.onDisk, now(), nil)
			if len(rows) != 1 {
				t.Fatalf("%d rows", len(rows))
			}
			row := rows[0]
			name := c.of
			if name == "" {
				name = address
			}
			if row.Source != address || row.Role != status.RoleLive || row.State != pki.StateOK || row.Name != name || row.Live != c.live || !strings.Contains(row.Detail, c.detail) {
				t.Errorf("row %+v, want %q and %q for %s", row, c.live, c.detail, name)
			}
			if c.live == status.LiveServed && row.Detail != "" {
				t.Errorf("detail %q of what is on the disk", row.Detail)
			}
			if row.Serial != "07" || row.DaysLeft != 80 || row.Issuer != "issuing" || row.Key != "P-256" || !slices.Equal(row.SANs, []string{"127.0.0.1"}) || row.NotAfter == nil {
				t.Errorf("row %+v does not describe the certificate", row)
			}
		})
	}
}

// A server that refuses the caller has presented its certificate, which is compared all the
// same; one that presents nothing has no certificate that could be fine.
func TestCompareUnreached(t *testing.T) {
	served := leaf(t, authority(t), nil)
	refused := errors.New("the server wants a certificate")
	for _, c := range []struct {
		name  string
		chain []*x509.Certificate
		err   error
		live  status.Live
		want  string
	}{
		{name: "refused", chain: []*x509.Certificate{served}, err: refused, live: status.LiveServed, want: refused.Error()},
		{name: "not reached", err: refused, want: refused.Error()},
		{name: "reached and nothing presented", want: "there is no certificate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dial := func(context.Context, string) ([]*x509.Certificate, error) { return c.chain, c.err }
			live := status.Compare(t.Context(), []string{address}, dial, []status.Held{held("server", false, served)}, now(), nil)
			if live[0].State != pki.StateUnreadable || live[0].Live != c.live || !strings.Contains(live[0].Detail, c.want) {
				t.Errorf("row %+v, want %q", live[0], c.want)
			}
			report := status.New(nil, live, now())
			if report.Unreadable() != 1 || report.Due() != 1 {
				t.Errorf("%d unreadable and %d due, want 1 and 1", report.Unreadable(), report.Due())
			}
		})
	}
}

// The rows have the order of the addresses, whichever answers first; each address is asked
// once and counted once.
func TestCompareManyInOrder(t *testing.T) {
	served := leaf(t, authority(t), nil)
	var addresses []string
	for i := range 100 {
		addresses = append(addresses, fmt.Sprintf("127.0.0.1:%d", 2000+i))
	}
	last := make(chan struct{}) // closed when the last of those asked first is being asked
	var mu sync.Mutex
	asked := map[string]int{}
	dial := func(_ context.Context, address string) ([]*x509.Certificate, error) {
		mu.Lock()
		asked[address]++
		if len(asked) == 2 {
			close(last)
		}
		mu.Unlock()
		<-last // so that no address is done before another is asked
		return []*x509.Certificate{served}, nil
	}
	var seen []int
	rows := status.Compare(t.Context(), addresses, dial, nil, now(), func(done, total int) {
		mu.Lock()
		defer mu.Unlock()
		seen = append(seen, done)
		if total != len(addresses) {
			t.Errorf("progress of %d", total)
		}
	})
	for i, row := range rows {
		if row.Source != addresses[i] || asked[row.Source] != 1 {
			t.Errorf("row %d is of %s, which was asked %d times", i, row.Source, asked[row.Source])
		}
	}
	slices.Sort(seen)
	if len(seen) != len(addresses) || seen[0] != 1 || seen[len(seen)-1] != len(addresses) {
		t.Errorf("progress %v", seen)
	}
}

// report has one row of each kind that is written differently.
func report(t *testing.T) status.Report {
	t.Helper()
	ca := authority(t)
	fine := leaf(t, ca, func(l *throwaway.Leaf) { l.DNSNames = []string{"a.example", "b.example"} })
	due := leaf(t, ca, func(l *throwaway.Leaf) { l.NotAfter = now().Add(2 * day) })
	late := held("late", true, due)
	late.State, late.Detail = pki.StateDue, "almost over"
	broken := held("broken", true)
	broken.State, broken.Detail = pki.StateUnreadable, "the file is empty"
	behind := func(context.Context, string) ([]*x509.Certificate, error) { return []*x509.Certificate{due}, nil }
	live := status.Compare(t.Context(), []string{address}, behind, []status.Held{held("server", true, fine)}, now(), nil)
	return status.New([]status.Held{held("server", true, fine), late, broken}, live, now())
}

func TestReport(t *testing.T) {
	r := report(t)
	if r.SchemaVersion != 1 || len(r.Certificates) != 4 || r.Summary[pki.StateOK] != 1 || r.Summary[pki.StateDue] != 2 || r.Summary[pki.StateUnreadable] != 1 {
		t.Errorf("summary %v of %d certificates", r.Summary, len(r.Certificates))
	}
	if r.Due() != 3 || r.Unreadable() != 1 {
		t.Errorf("%d due and %d unreadable, want 3 and 1", r.Due(), r.Unreadable())
	}
	// What is served and not what is on the disk is due, however long it lasts.
	for live, want := range map[status.Live]int{"": 0, status.LiveServed: 0, status.LiveDiskPast: 0, status.LiveBehind: 1, status.LiveRestart: 1} {
		if n := status.New(nil, []status.Row{{State: pki.StateOK, Live: live}}, now()).Due(); n != want {
			t.Errorf("%d due of %q, want %d", n, live, want)
		}
	}
	empty, err := json.Marshal(status.New(nil, nil, now()))
	if err != nil || string(empty) != `{"schema_version":1,"certificates":[],"summary":{}}` {
		t.Errorf("an empty report: %s, %v", empty, err)
	}
}

func TestText(t *testing.T) {
	var out bytes.Buffer
	if err := report(t).WriteText(&out); err != nil {
		t.Fatal(err)
	}
	// The columns are as wide as the widest of them.
	var got []string
	for line := range strings.Lines(out.String()) {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	want := []string{
		"STATE NAME ROLE ENDS DAYS KEY ISSUER NAMES DETAIL",
		"ok server server 2027-02-09 80 P-256 issuing 127.0.0.1 a.example +1",
		"due late server 2026-11-23 2 P-256 issuing 127.0.0.1 almost over",
		"unreadable broken.crt server the file is empty",
		"not yet picked up 127.0.0.1:2379 live 2026-11-23 2 P-256 issuing 127.0.0.1 server.crt has serial number 07; copy it to the node",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if err := report(t).WriteText(full{}); !errors.Is(err, errFull) {
		t.Errorf("a full disk: %v", err)
	}
}

var errFull = errors.New("no space left")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

// What is written is read back by Prometheus' own parser. A name may hold what its format
// has to escape.
func TestPrometheus(t *testing.T) {
	r := report(t)
	const odd = "a \"b\"\\c\nd"
	r.Certificates[0].Name = odd
	var out bytes.Buffer
	if err := r.WritePrometheus(&out, now()); err != nil {
		t.Fatal(err)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(&out)
	if err != nil {
		t.Fatal(err)
	}
	ends := families["etcdsec_certificate_not_after_timestamp_seconds"].GetMetric()
	if len(ends) != 3 { // what could not be read has no end
		t.Fatalf("%d ends", len(ends))
	}
	if name := labelOf(ends[0], "name"); name != odd || ends[0].GetGauge().GetValue() != float64(now().Add(80*day).Unix()) {
		t.Errorf("%q ends at %v", name, ends[0].GetGauge().GetValue())
	}
	states := families["etcdsec_certificate_state"].GetMetric()
	if len(states) != len(r.Certificates)*len(pki.States()) {
		t.Errorf("%d states of %d certificates", len(states), len(r.Certificates))
	}
	has := map[string]string{}
	for _, m := range states {
		if m.GetGauge().GetValue() == 1 {
			has[labelOf(m, "source")] += labelOf(m, "state")
		}
	}
	for _, row := range r.Certificates {
		if has[row.Source] != string(row.State) {
			t.Errorf("%s has the state %q, want %q", row.Source, has[row.Source], row.State)
		}
	}
	if last := families["etcdsec_status_last_run_timestamp_seconds"].GetMetric(); len(last) != 1 || last[0].GetGauge().GetValue() != float64(now().Unix()) {
		t.Errorf("last run %v", last)
	}
	if err := r.WritePrometheus(full{}, now()); !errors.Is(err, errFull) {
		t.Errorf("a full disk: %v", err)
	}
	out.Reset()
	if err := status.New(nil, nil, now()).WritePrometheus(&out, now()); err != nil {
		t.Fatal(err)
	}
	if families, err := parser.TextToMetricFamilies(&out); err != nil || len(families) != 1 {
		t.Errorf("an empty report has %d families, %v", len(families), err)
	}
}

func labelOf(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	cert := leaf(t, authority(t), nil)
	write := func(name string, data []byte) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	server := write("pki/server.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
	write("pki/empty.crt", nil)
	write("none/notes.txt", []byte("nothing"))
	write("store/"+pki.SpecName, []byte(spec))
	write("odd/"+pki.SpecName, []byte("kind: Sandwich\n"))

	folder, err := status.Read(t.Context(), filepath.Join(dir, "pki"), now())
	if err != nil || len(folder) != 2 {
		t.Fatalf("%d rows, %v", len(folder), err)
	}
	if folder[0].Name != "empty" || folder[0].State != pki.StateUnreadable || folder[1].Name != "server" || folder[1].State != pki.StateOK || folder[0].InStore || folder[1].InStore {
		t.Errorf("rows %+v", folder)
	}
	file, err := status.Read(t.Context(), server, now())
	if err != nil || len(file) != 1 || file[0].State != pki.StateOK {
		t.Errorf("%+v, %v", file, err)
	}
	// A store without a single file still has a row for each certificate of its spec.
	store, err := status.Read(t.Context(), filepath.Join(dir, "store"), now())
	if err != nil || len(store) == 0 {
		t.Fatalf("%d rows, %v", len(store), err)
	}
	for _, h := range store {
		if !h.InStore || h.State != pki.StateUnreadable {
			t.Errorf("row %+v", h)
		}
	}
	for name, want := range map[string]string{"none": "has no certificate", "nowhere": "no such file", "odd": "Sandwich"} {
		if _, err := status.Read(t.Context(), filepath.Join(dir, name), now()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}

const spec = `apiVersion: etcdsec.dev/v1alpha1
kind: Cluster
metadata: {name: one}
spec:
  etcd:
    version: "3.6.16"
    members: [{name: etcd-0, addresses: [127.0.0.1]}]
`
