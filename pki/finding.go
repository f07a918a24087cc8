package pki

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// Finding is one thing wrong with a store.
type Finding struct {
	Path    string // in the store, slash-separated
	Problem string
	Fix     string // a command or what to do; never empty
}

// findings collects them in the order in which they are found.
type findings []Finding

func (f *findings) add(path, fix, problem string, a ...any) {
	*f = append(*f, Finding{Path: path, Problem: fmt.Sprintf(problem, a...), Fix: fix})
}

// sorted are the findings by path; those of one path keep their order.
func (f findings) sorted() []Finding {
	slices.SortStableFunc(f, func(a, b Finding) int { return cmp.Compare(a.Path, b.Path) })
	return slices.Compact(f)
}

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
