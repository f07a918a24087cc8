package pki

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLedgerHoldsEveryCertificate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	c := specOf(t, 3, "")
	work := issue(t, dir, c, testNow())
	entries, err := ReadLedger(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != len(work.Steps) {
		t.Fatalf("%d entries for %d certificates", len(entries), len(work.Steps))
	}
	serials := map[string]bool{}
	for i, e := range entries {
		if e.Name != work.Steps[i].Name || e.SpecHash != c.Hash() || e.Serial == "" || e.KeyHash == "" || e.SKID == "" {
			t.Errorf("entry %d: %+v", i, e)
		}
		if serials[e.Serial] {
			t.Errorf("serial %s is used twice", e.Serial)
		}
		serials[e.Serial] = true
	}
	leaf := readChain(t, filepath.Join(dir, "nodes", "etcd-2", "pki", "peer.crt"))[0]
	if !slices.ContainsFunc(entries, func(e Entry) bool {
		return e.Name == "etcd-2/peer" && e.Serial == SerialString(leaf.SerialNumber) && e.NotAfter.Equal(leaf.NotAfter)
	}) {
		t.Error("etcd-2/peer is not in the ledger as it is on disk")
	}
}

func TestLedgerChain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	issue(t, dir, specOf(t, 1, ""), testNow())
	path := filepath.Join(dir, ledgerName)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(whole, []byte("\n"))
	swapped := slices.Concat(lines[0], lines[2], lines[1], bytes.Join(lines[3:], nil))
	cases := map[string]struct {
		data []byte
		want string // empty: accepted
	}{
		"whole":          {whole, ""},
		"edited":         {bytes.Replace(whole, []byte("client-root"), []byte("CLIENT-root"), 1), ":2: it does not have the hash of the line before"},
		"line removed":   {slices.Concat(lines[0], bytes.Join(lines[2:], nil)), ":2: it does not have the hash of the line before"},
		"first gone":     {bytes.Join(lines[1:], nil), ":1: it does not have the hash of the line before"},
		"reordered":      {swapped, ":2: it does not have the hash of the line before"},
		"not JSON":       {append(slices.Clone(whole), "x\n"...), "not a ledger line"},
		"unknown key":    {[]byte("{\"surprise\":1}\n"), "not a ledger line"},
		"cut in a line":  {whole[:len(whole)-10], "the end was cut off"},
		"cut at a line":  {bytes.Join(lines[:len(lines)-2], nil), "the end was cut off"},
		"emptied":        {nil, "has 0 lines, but had"},
		"another ledger": {rechained(t, whole), "the ledger was replaced"},
		"torn":           {append(slices.Clone(whole), `{"time":"2026`...), ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(path, tc.data, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := ReadLedger(dir)
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

// A line that a killed run left half-written is cut before the next one is added.
func TestLedgerTornLine(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	issue(t, dir, specOf(t, 1, ""), testNow())
	path := filepath.Join(dir, ledgerName)
	before, err := ReadLedger(dir)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"time":"2026`); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	issue(t, dir, specOf(t, 1, "  clients: [{name: backup, role: backup}]\n"), testNow())
	after, err := ReadLedger(dir)
	if err != nil || len(after) != len(before)+1 {
		t.Errorf("%d entries after %d, %v", len(after), len(before), err)
	}
}

// rechained is a ledger whose chain holds and which is not the one that was written.
func rechained(t *testing.T, whole []byte) []byte {
	t.Helper()
	l, err := parseLedger(whole)
	if err != nil {
		t.Fatal(err)
	}
	l.entries[0].Reason = "edited"
	var other ledger
	lines, err := other.chain(l.entries)
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// A process that dies between the ledger and its head leaves a head that is behind.
func TestLedgerHeadBehind(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	issue(t, dir, specOf(t, 1, ""), testNow())
	head := filepath.Join(dir, headName)
	old, err := os.ReadFile(head)
	if err != nil {
		t.Fatal(err)
	}
	more := "  clients: [{name: backup, role: backup}]\n"
	issue(t, dir, specOf(t, 1, more), testNow())
	if err := os.WriteFile(head, old, 0o600); err != nil {
		t.Fatal(err)
	}
	renew(t, dir, specOf(t, 1, more), testNow(), Renewal{All: true})
	if after, err := os.ReadFile(head); err != nil || bytes.Equal(after, old) {
		t.Errorf("the head did not move on: %v", err)
	}
}

// Nothing is issued into a store whose ledger lost its end: what it lacks would never be known.
func TestNothingIsAddedToACutLedger(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	c := specOf(t, 1, "")
	issue(t, dir, c, testNow())
	path := filepath.Join(dir, ledgerName)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, whole[:bytes.IndexByte(whole, '\n')+1], 0o600); err != nil {
		t.Fatal(err)
	}
	before := tree(t, dir)
	if _, err := renewErr(t, dir, c, testNow(), Renewal{All: true}); err == nil || !strings.Contains(err.Error(), "the end was cut off") {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
		t.Errorf("changed:\n%s", diff)
	}
}
