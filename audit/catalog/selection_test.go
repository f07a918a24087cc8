package catalog

import (
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/audit"
)

// A selection keeps the order of the checks; whatever selects nothing is an error.
func TestSelect(t *testing.T) {
	t.Parallel()
	all := All()
	known := audit.Abouts(all)
	for name, c := range map[string]struct {
		selection Selection
		want      string // of the first IDs, or of the error
		refused   bool
	}{
		"everything":      {Selection{}, known[0].ID + " " + known[1].ID, false},
		"one":             {Selection{Only: []string{"client-plaintext"}}, "client-plaintext", false},
		"all but":         {Selection{Only: []string{"client-plaintext", "peer-plaintext"}, Skip: []string{"client-*"}}, "peer-plaintext", false},
		"misspelt":        {Selection{Only: []string{"client-plaintxt"}}, `--checks "client-plaintxt": matches no check; the nearest are client-plaintext`, true},
		"nothing near":    {Selection{Skip: []string{"zzzzzzzz"}}, `--skip "zzzzzzzz": matches no check`, true},
		"nothing is left": {Selection{Only: []string{"client-*"}, Skip: []string{"client-*"}}, "--skip leaves no check", true},
		"a fault in each": {Selection{Only: []string{"zzzzzzzz"}, Skip: []string{"yyyyyyyy"}}, "--skip \"yyyyyyyy\"", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			selected, err := Select(c.selection, all, known)
			if c.refused {
				if err == nil || !strings.Contains(err.Error(), c.want) || selected != nil {
					t.Errorf("got %v, want %s", err, c.want)
				}
				return
			}
			var ids []string
			for _, s := range selected {
				ids = append(ids, s.ID)
			}
			if got := strings.Join(ids, " "); err != nil || !strings.HasPrefix(got, c.want) || len(c.selection.Only) > 0 && got != c.want {
				t.Errorf("got %s, %v, want %s", got, err, c.want)
			}
		})
	}
}
