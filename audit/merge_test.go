package audit_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdsec/etcdsec/audit"
)

func TestMerge(t *testing.T) {
	stamped := func(r audit.Report, start, end int) audit.Report {
		r.StartedAt, r.FinishedAt = today.Add(time.Duration(start)*time.Minute), today.Add(time.Duration(end)*time.Minute)
		return r
	}
	reworded := answer("fail")
	reworded.Results[0].Evidence = "seen in other words"
	for name, c := range map[string]struct {
		reports   []audit.Report
		summary   audit.Summary
		conflicts []audit.Conflict
	}{
		"one":            {reports: []audit.Report{answer("fail")}, summary: audit.Summary{Fail: 1}},
		"the same twice": {reports: []audit.Report{answer("fail"), answer("fail")}, summary: audit.Summary{Fail: 1}},
		"other words":    {reports: []audit.Report{answer("fail"), reworded}, summary: audit.Summary{Fail: 1}},
		"two verdicts": {
			reports: []audit.Report{answer("pass"), answer(""), answer("unknown")}, summary: audit.Summary{Pass: 1, Unknown: 1},
			conflicts: []audit.Conflict{{CheckID: "one", Target: "a:1", Reports: [2]int{0, 2}, Verdicts: [2]audit.Verdict{audit.Pass, audit.Unknown}}},
		},
		"two findings": {
			reports: []audit.Report{answer("fail"), answer("fail y"), answer("fail")}, summary: audit.Summary{Fail: 2},
			conflicts: []audit.Conflict{{CheckID: "one", Target: "a:1", Reports: [2]int{0, 1}, Verdicts: [2]audit.Verdict{audit.Fail, audit.Fail}}},
		},
		"waived and not": {
			reports: []audit.Report{answer("waived"), answer("fail")}, summary: audit.Summary{Fail: 1, Waived: 1},
			conflicts: []audit.Conflict{{CheckID: "one", Target: "a:1", Reports: [2]int{0, 1}, Verdicts: [2]audit.Verdict{audit.Fail, audit.Fail}}},
		},
		"nothing": {reports: []audit.Report{answer(""), answer("")}},
	} {
		t.Run(name, func(t *testing.T) {
			merged, conflicts := audit.Merge(c.reports)
			if merged.Summary != c.summary || merged.Results == nil || merged.SchemaVersion != audit.SchemaVersion {
				t.Errorf("got %+v", merged)
			}
			if diff := cmp.Diff(c.conflicts, conflicts); diff != "" {
				t.Error(diff)
			}
		})
	}
	merged, _ := audit.Merge([]audit.Report{stamped(answer("pass"), 5, 6), stamped(answer("pass"), 1, 2), stamped(answer("pass"), 3, 9)})
	if want := today.Add(time.Minute); !merged.StartedAt.Equal(want) {
		t.Errorf("started at %s", merged.StartedAt)
	}
	if want := today.Add(9 * time.Minute); !merged.FinishedAt.Equal(want) {
		t.Errorf("finished at %s", merged.FinishedAt)
	}
}

func TestMissingShards(t *testing.T) {
	of := func(index, count int) audit.Report {
		return audit.Report{Shard: &audit.Shard{Index: index, Count: count}}
	}
	for name, c := range map[string]struct {
		reports []audit.Report
		want    []audit.Shard
	}{
		"no shards":   {reports: []audit.Report{{}, {}}},
		"all":         {reports: []audit.Report{of(1, 2), of(0, 2)}},
		"one missing": {reports: []audit.Report{of(2, 3), {}, of(0, 3), of(0, 3)}, want: []audit.Shard{{Index: 1, Count: 3}}},
		"two fleets":  {reports: []audit.Report{of(0, 2), of(1, 3), of(2, 3)}, want: []audit.Shard{{Index: 1, Count: 2}, {Index: 0, Count: 3}}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, audit.MissingShards(c.reports)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A list of shards names the first ones as --shard takes them, and counts the others.
func TestNameShards(t *testing.T) {
	var shards []audit.Shard
	for i := range 22 {
		shards = append(shards, audit.Shard{Index: i, Count: 30})
	}
	if got := audit.NameShards(shards[:2]); got != "0/30, 1/30" {
		t.Errorf("got %s", got)
	}
	if got := audit.NameShards(shards); !strings.HasPrefix(got, "0/30, 1/30, ") || !strings.HasSuffix(got, ", 19/30, and 2 more") {
		t.Errorf("got %s", got)
	}
}
