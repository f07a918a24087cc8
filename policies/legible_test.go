package policies_test

import (
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/policies"
)

// A name from a file of others makes no line of its own in the table.
func TestDriftIsLegible(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	result := policies.NewDriftResult([]policies.Difference{{Where: "a\nall clean", What: "b\x1b[2J", Live: "c\nd", Want: "e"}})
	if err := result.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	if got := b.String(); strings.Count(got, "\n") != 1 || strings.Contains(got, "\x1b") || !strings.Contains(got, `a\nall clean`) {
		t.Errorf("%q", got)
	}
}
