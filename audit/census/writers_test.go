package census_test

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/census"
)

// sealedBy returns what a writer may have stored, with a text where the ciphertext begins.
func sealedBy(w audit.Writer, start string) []byte {
	random := make([]byte, 96-len(start)%16)
	_, _ = rand.Read(random) // it never fails
	value := append([]byte(w.Prefix()+start), random...)
	return value[:len(w.Prefix())+96]
}

// noText begins ciphertext that has no text and colon at its start.
const noText = "\x01"

// add adds objects of one writer.
func add(t *census.Tally, w audit.Writer, n int, start string) {
	for i := range n {
		t.Add(fmt.Appendf(nil, "/registry/secrets/ns/%s-%d", w.Key, i), sealedBy(w, start))
	}
}

func writersOf(t *testing.T, tally *census.Tally) string {
	t.Helper()
	c := tally.Census()
	if len(c.Resources) != 1 {
		t.Fatalf("%d resources", len(c.Resources))
	}
	var all []string
	for _, w := range c.Resources[0].Writers {
		all = append(all, fmt.Sprintf("%s=%d/%d", w.Writer, w.Objects, w.Ambiguous))
	}
	return strings.Join(all, " ")
}

// Names of keys that hold a colon are recognised where the store or the configuration tells
// them apart, and where neither does, the census says so.
func TestNamesWithColons(t *testing.T) {
	secretbox := func(name string) audit.Writer { return audit.Writer{Provider: audit.SecretboxProvider, Key: name} }
	a, ab, abc := secretbox("a"), secretbox("a:b"), secretbox("a:b:c")
	k3s := audit.Writer{Provider: audit.AESCBCProvider, Key: "aescbckey-2024-05-01T12:00:00Z"}
	zoned := secretbox("secretboxkey-2024-05-01T12:00:00+02:00")
	for _, c := range []struct {
		name  string
		known []audit.Writer
		fill  func(*census.Tally)
		want  string
	}{
		{name: "many by one key", fill: func(t *census.Tally) { add(t, ab, 50, noText) }, want: "secretbox a:b=50/0"},
		{name: "two of them", fill: func(t *census.Tally) { add(t, ab, 2, noText) }, want: "secretbox a:b=2/0"},
		{name: "one alone", fill: func(t *census.Tally) { add(t, ab, 1, noText) }, want: "secretbox a=1/1"},
		{name: "one alone that is known", known: []audit.Writer{ab}, fill: func(t *census.Tally) { add(t, ab, 1, noText) }, want: "secretbox a:b=1/0"},
		{name: "any provider", known: []audit.Writer{{Key: "a:b"}}, fill: func(t *census.Tally) { add(t, ab, 1, noText) }, want: "secretbox a:b=1/0"},
		{name: "a time", fill: func(t *census.Tally) { add(t, k3s, 1, noText) }, want: "aescbc aescbckey-2024-05-01T12:00:00Z=1/0"},
		{name: "a time with a zone", fill: func(t *census.Tally) { add(t, zoned, 1, noText) }, want: zoned.String() + "=1/0"},
		{name: "nested", fill: func(t *census.Tally) { add(t, a, 30, noText); add(t, ab, 20, noText); add(t, abc, 10, noText) },
			want: "secretbox a=30/0 secretbox a:b=20/0 secretbox a:b:c=10/0"},
		{name: "nested and known", known: []audit.Writer{a, ab, abc}, fill: func(t *census.Tally) { add(t, a, 30, noText); add(t, ab, 20, noText); add(t, abc, 10, noText) },
			want: "secretbox a=30/0 secretbox a:b=20/0 secretbox a:b:c=10/0"},
		{name: "one among many", fill: func(t *census.Tally) { add(t, a, 1000, noText); add(t, ab, 1, noText) }, want: "secretbox a=1001/1"},
		{name: "one among many, both known", known: []audit.Writer{a, ab}, fill: func(t *census.Tally) { add(t, a, 1000, noText); add(t, ab, 1, noText) },
			want: "secretbox a=1000/0 secretbox a:b=1/1"},
		{name: "ciphertext with a colon", known: []audit.Writer{a}, fill: func(t *census.Tally) { add(t, a, 1000, noText); add(t, a, 3, "x:"); add(t, a, 1, ":") },
			want: "secretbox a=1004/4"},
		{name: "an unknown key behind a known one", known: []audit.Writer{a}, fill: func(t *census.Tally) { add(t, ab, 10, noText) }, want: "secretbox a:b=10/0"},
		{name: "many colons", fill: func(t *census.Tally) { add(t, secretbox("a:b:c:d:e:f:g:h:i:j:k"), 5, noText) }, want: "secretbox a:b:c:d:e:f:g:h:i:j:k=5/0"},
		{name: "a known name that is no text", known: []audit.Writer{secretbox("a\nb")}, fill: func(t *census.Tally) { add(t, secretbox("a\nb"), 5, noText) }, want: `secretbox "a\nb"=5/0`},
		{name: "an unknown name that turns the direction", fill: func(t *census.Tally) { add(t, secretbox("a\u202eb"), 5, noText) }, want: `secretbox "a\u202eb"=5/0`},
	} {
		t.Run(c.name, func(t *testing.T) {
			whole := census.NewTally(census.DefaultLayout(), c.known...)
			c.fill(whole)
			if got := writersOf(t, whole); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
			merged := census.NewTally(census.DefaultLayout(), c.known...)
			part := merged.Fork()
			c.fill(part)
			merged.Merge(part)
			if got := writersOf(t, merged); got != c.want {
				t.Errorf("merged: got %s, want %s", got, c.want)
			}
		})
	}
}

// Random ciphertext makes no writers that there are not, however much of it there is.
func TestRandomCiphertextInventsNoWriters(t *testing.T) {
	k := audit.Writer{Provider: audit.SecretboxProvider, Key: "k-1"}
	tally := census.NewTally(census.DefaultLayout())
	const n = 200_000
	// Of a hundred thousand such stores, one or two hold something that is too unlikely to be chance.
	random := seeded()
	for i := range n {
		tally.Add(fmt.Appendf(nil, "/registry/secrets/ns/k-1-%d", i), []byte(sealed(random, "k-1", 96)))
	}
	c := tally.Census().Resources[0]
	if len(c.Writers) != 1 || c.Writers[0].Writer != k || c.Writers[0].Objects != n {
		t.Fatalf("%+v", c.Writers)
	}
	if w := c.Writers[0]; w.Ambiguous == 0 || w.InDoubt != 0 {
		t.Errorf("%d are ambiguous, %d in doubt", w.Ambiguous, w.InDoubt)
	}
}

// A single value of which the store does not tell where the name of the key ends is in doubt,
// unless there are so many others that one of them looks so by chance.
func TestDoubt(t *testing.T) {
	secretbox := func(name string) audit.Writer { return audit.Writer{Provider: audit.SecretboxProvider, Key: name} }
	a := []audit.Writer{secretbox("a")}
	for _, c := range []struct {
		name      string
		known     []audit.Writer
		key       string
		of, want  int64
		ambiguous int64
	}{
		{name: "alone", key: "a:2024-05", want: 1, ambiguous: 1},
		{name: "alone, and the shorter name is known", known: a, key: "a:2024-05", want: 1, ambiguous: 1},
		{name: "a short one alone", known: a, key: "a:b", want: 0, ambiguous: 1},
		{name: "among a few", known: a, key: "a:2024-05-01", of: 5, want: 1, ambiguous: 1},
		{name: "a long name among many", known: a, key: "a:key-of-may-2024", of: 1000, want: 1, ambiguous: 1},
		{name: "a short one among many", known: a, key: "a:b", of: 1000, want: 0, ambiguous: 1},
		{name: "no colon", known: a, key: "a", of: 5, want: 0, ambiguous: 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			tally := census.NewTally(census.DefaultLayout(), c.known...)
			add(tally, secretbox("a"), int(c.of), noText)
			add(tally, secretbox(c.key), 1, noText)
			writers := tally.Census().Resources[0].Writers
			if len(writers) != 1 || writers[0].Key != "a" || writers[0].InDoubt != c.want || writers[0].Ambiguous != c.ambiguous {
				t.Errorf("got %+v, want %d in doubt", writers, c.want)
			}
		})
	}
	t.Run("many names of one value each", func(t *testing.T) {
		tally := census.NewTally(census.DefaultLayout(), a...)
		for i := range 40 {
			add(tally, secretbox(fmt.Sprintf("a:%c", 'A'+i)), 1, noText)
		}
		if w := tally.Census().Resources[0].Writers; len(w) != 1 || w[0].InDoubt != 40 {
			t.Errorf("got %+v", w)
		}
	})
}
