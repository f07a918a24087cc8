package main

import (
	"cmp"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/audit/collect"
	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/pki"
)

// completionFunc offers what an argument or the value of a flag may be.
type completionFunc = func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective)

// complete adds completion to a flag.
func complete(cmd *cobra.Command, flag string, f completionFunc) {
	_ = cmd.RegisterFlagCompletionFunc(flag, f) // fails only for unknown flags
}

// completeWords adds the values of a flag that has only these.
func completeWords(cmd *cobra.Command, flag string, words ...string) {
	complete(cmd, flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
}

// completeList offers the items of a list that is separated by commas, also behind the first item.
func completeList(items completionFunc) completionFunc {
	return func(cmd *cobra.Command, given []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		before := typed[:strings.LastIndex(typed, ",")+1]
		offered, directive := items(cmd, given, typed[len(before):])
		var all []cobra.Completion
		for _, item := range offered {
			word, _, _ := strings.Cut(item, "\t")
			if !strings.Contains(","+before, ","+word+",") {
				all = append(all, before+item)
			}
		}
		return all, directive | cobra.ShellCompDirectiveNoSpace
	}
}

// completeStoreNames offers a folder, and then the names in the store of that folder: members, leaves and
// clients.
func completeStoreNames(_ *cobra.Command, given []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(given) == 0 {
		return nil, cobra.ShellCompDirectiveFilterDirs
	}
	c, err := cluster.Load(filepath.Join(given[0], pki.SpecName))
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []cobra.Completion
	for _, b := range pki.NewPlan(c).Bundles {
		owner := filepath.Base(strings.TrimSuffix(b.Path, "/pki"))
		for _, name := range append([]string{owner}, leafNames(b)...) {
			if strings.HasPrefix(name, typed) {
				names = append(names, name)
			}
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// leafNames returns the names of the leaves of a member, which has several.
func leafNames(b pki.Bundle) []string {
	var names []string
	for _, l := range b.Leaves {
		if len(b.Leaves) > 1 {
			names = append(names, l.Name)
		}
	}
	return names
}

// completeFaults offers the faults of --present, and files behind them: FAULT=CERT,KEY.
func completeFaults(_ *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	const directive = cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
	if at := strings.LastIndexAny(typed, "=,"); at >= 0 {
		return completePaths(typed[:at+1], typed[at+1:]), directive
	}
	var faults []cobra.Completion
	for _, word := range collect.FaultWords() {
		faults = append(faults, word+"=")
	}
	return faults, directive
}

// completePaths offers the files that begin with a path, behind what is before it in the same word. Shells
// complete files only at the beginning of a word; bash and zsh do not agree where a word begins.
func completePaths(before, typed string) []cobra.Completion {
	dir, name := filepath.Split(typed)
	entries, err := os.ReadDir(cmp.Or(dir, "."))
	if err != nil {
		return nil
	}
	const most = 1000
	var paths []cobra.Completion
	for _, entry := range entries[:min(most, len(entries))] {
		if !strings.HasPrefix(entry.Name(), name) || name == "" && strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		path := before + dir + entry.Name()
		if entry.IsDir() {
			path += "/"
		}
		paths = append(paths, path)
	}
	return paths
}
