package policies

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdsec/etcdsec/policies/nft"
)

// Clusters on one host have tables of their own. The former table, which named no cluster, is that of
// the cluster whose ports it filters.
func TestFormerTable(t *testing.T) {
	t.Parallel()
	one, other := *intentOf(t, nftablesSpec), *intentOf(t, nftablesSpec)
	other.Cluster, other.Ports = "other", Ports{Client: 12379, Peer: 12380, Metrics: 12381}
	ours, theirs := Nftables(&one), Nftables(&other)
	if a, b := ours.Tables[0].Name, theirs.Tables[0].Name; a == b || !strings.HasSuffix(a, "-"+one.Cluster) || !strings.HasSuffix(b, "-other") {
		t.Errorf("the tables are %s and %s", a, b)
	}
	named := func(r *nft.Ruleset, name string) nft.Table {
		table := r.Tables[0]
		table.Name = name
		return table
	}
	live := &nft.Ruleset{Tables: []nft.Table{named(theirs, theirs.Tables[0].Name), named(ours, FormerNftablesTable)}}
	found := RulesDrift("", ours, live)
	want := []Difference{
		{What: "table inet " + ours.Tables[0].Name, Kind: Missing, Want: "the whole table"},
		{What: "table inet etcdsec", Kind: Extra, Live: "the table of this cluster under its former name"},
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Error(diff)
	}
	if found := RulesDrift("", theirs, live); len(found) > 0 {
		t.Errorf("the other cluster takes the former table for its own: %v", found)
	}
	if _, former := FormerTable(ours, &nft.Ruleset{Tables: []nft.Table{{Family: "inet", Name: FormerNftablesTable}}}); former {
		t.Error("an empty table of somebody's was taken for ours")
	}
}
