package audit_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/audit"
)

func TestMatchGlob(t *testing.T) {
	for _, c := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true},
		{"", "a", false},
		{"*", "", true},
		{"10.0.0.11:2379", "10.0.0.11:2379", true},
		{"10.0.0.11:2379", "10.0.0.111:2379", false},
		{"10.0.0.?1:2379", "10.0.0.11:2379", true},
		{"10.0.0.?1:2379", "10.0.0.1:2379", false},
		{"*:2379", "10.0.0.1:2379", true},
		{"*:2379", "10.0.0.1:23799", false},
		{"*.0.*:*9", "10.0.0.1:2379", true},
		{"[fd00::11]:2379", "[fd00::11]:2379", true},
		{"[fd00::11]:2379", "f:2379", false},
		{"cp-*:/etc/*.yaml", "cp-0:/etc/kubernetes/manifests/etcd.yaml", true},
		{"a*b*c", "abcbc", true},
		{"a*b*c", "abcb", false},
	} {
		if got := audit.MatchGlob(c.pattern, c.s); got != c.want {
			t.Errorf("%q, %q: got %v", c.pattern, c.s, got)
		}
	}
}

// What cannot match is said at once, however many stars there are.
func TestMatchGlobIsNotExponential(t *testing.T) {
	if audit.MatchGlob(strings.Repeat("*a", 500)+"b", strings.Repeat("a", 5000)) {
		t.Error("matches")
	}
}

func FuzzMatchGlob(f *testing.F) {
	for _, seed := range [][2]string{{"a*b?c", "axbyc"}, {"*", ""}, {"[::1]:*", "[::1]:2379"}, {"**?", "ab"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if len(pattern) > 50 || len(s) > 200 || strings.ContainsFunc(pattern+s, func(r rune) bool { return r > 0x7e }) {
			return
		}
		same := strings.NewReplacer(`\*`, "(?s:.*)", `\?`, "(?s:.)").Replace(regexp.QuoteMeta(pattern))
		if want, got := regexp.MustCompile(`\A`+same+`\z`).MatchString(s), audit.MatchGlob(pattern, s); got != want {
			t.Errorf("%q, %q: got %v, want %v", pattern, s, got, want)
		}
	})
}
