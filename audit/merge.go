package audit

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Conflict names a check that two reports answer differently for one target. The merged report has both
// answers.
type Conflict struct {
	CheckID, Target string
	Host            string // of the target, as a Result has it
	Reports         [2]int // which of the merged, from 0
	Verdicts        [2]Verdict
}

// Merge joins reports of shards, of hosts, or of several places that look at one target. Equal answers to
// one question become one result: the verdict, the findings and the waiver count, and the text is that
// of the first. Different answers are all kept, because each is true where it was observed: a port may
// be open to one host and closed to another.
//
// The results are in the order of the reports. The tool is the first report's. The merged report starts
// with the earliest and finishes with the latest of them. There must be at least one report.
func Merge(reports []Report) (Report, []Conflict) {
	merged := Report{SchemaVersion: SchemaVersion, Tool: reports[0].Tool, StartedAt: reports[0].StartedAt, Results: []Result{}, Inventory: mergeInventories(reports)}
	type view struct{ result, report int }
	views := map[question][]view{} // of merged.Results
	var conflicts []Conflict
	for i, r := range reports {
		if r.StartedAt.Before(merged.StartedAt) {
			merged.StartedAt = r.StartedAt
		}
		if r.FinishedAt.After(merged.FinishedAt) {
			merged.FinishedAt = r.FinishedAt
		}
		for _, result := range r.Results {
			q := questionOf(result)
			known := views[q]
			if slices.ContainsFunc(known, func(v view) bool { return sameAnswer(merged.Results[v.result], result) }) {
				continue
			}
			if len(known) > 0 {
				first := known[0]
				conflicts = append(conflicts, Conflict{
					CheckID: q.checkID, Target: q.target, Host: q.host,
					Reports: [2]int{first.report, i}, Verdicts: [2]Verdict{merged.Results[first.result].Verdict, result.Verdict},
				})
			}
			views[q] = append(known, view{len(merged.Results), i})
			merged.Results = append(merged.Results, result)
		}
	}
	merged.Summary = summarize(merged.Results)
	return merged, conflicts
}

// mergeInventories returns the inventory of all reports. If places saw a port differently, it has all views.
func mergeInventories(reports []Report) Inventory {
	all := Inventory{Listeners: []InventoryListener{}}
	type port struct {
		target, host string
		kind         Kind
	}
	views := map[port][]InventoryListener{}
	for _, r := range reports {
		for _, l := range r.Inventory.Listeners {
			of := port{l.Target, l.Host, l.Kind}
			if !slices.ContainsFunc(views[of], func(other InventoryListener) bool { return reflect.DeepEqual(l, other) }) {
				views[of] = append(views[of], l)
				all.Listeners = append(all.Listeners, l)
			}
		}
	}
	return all
}

// question identifies a result across reports: check, target and kind.
type question struct {
	checkID, target, host string
	kind                  Kind
}

func questionOf(r Result) question { return question{r.CheckID, r.Target, r.Host, r.Kind} }

// Hosts returns the names of the hosts that have targets of their own, in the order in which they
// come. A report of one host has at most one.
func (r Report) Hosts() []string {
	var hosts []string
	seen := map[string]bool{"": true}
	for _, result := range r.Results {
		if !seen[result.Host] {
			seen[result.Host] = true
			hosts = append(hosts, result.Host)
		}
	}
	return hosts
}

// withoutHosts returns the results as they are where there is nothing to tell apart.
func withoutHosts(results []Result) []Result {
	without := slices.Clone(results)
	for i := range without {
		without[i].Host = ""
	}
	return without
}

func sameAnswer(a, b Result) bool {
	return a.Verdict == b.Verdict && a.Fingerprint == b.Fingerprint && (a.Waiver == nil) == (b.Waiver == nil)
}

// String returns the shard as --shard takes it.
func (s Shard) String() string { return fmt.Sprintf("%d/%d", s.Index, s.Count) }

// NameShards names the first shards of a list, and counts the others.
func NameShards(shards []Shard) string {
	const most = 20
	var names []string
	for _, s := range shards[:min(len(shards), most)] {
		names = append(names, s.String())
	}
	if len(shards) > most {
		names = append(names, fmt.Sprintf("and %d more", len(shards)-most))
	}
	return strings.Join(names, ", ")
}

// MissingShards returns, in order, the shards that have no report although another report is a shard of
// the same count. Nobody has audited their targets.
func MissingShards(reports []Report) []Shard {
	var counts []int
	have := map[Shard]bool{}
	for _, r := range reports {
		if r.Shard == nil {
			continue
		}
		have[*r.Shard] = true
		if !slices.Contains(counts, r.Shard.Count) {
			counts = append(counts, r.Shard.Count)
		}
	}
	slices.Sort(counts)
	var missing []Shard
	for _, count := range counts {
		for index := range count {
			if shard := (Shard{index, count}); !have[shard] {
				missing = append(missing, shard)
			}
		}
	}
	return missing
}
