package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// The placeholder of a flag says what kind of value it takes, and is not one of its values.
func TestPlaceholdersAreTypes(t *testing.T) {
	seen := 0
	walk(newRootCommand(&app{stdout: &bytes.Buffer{}}), func(cmd *cobra.Command) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			name, usage := pflag.UnquoteUsage(f)
			if f.Value.Type() == "bool" {
				return
			}
			seen++
			if !strings.Contains(f.Usage, "`"+name+"`") || name == "" || name == f.DefValue {
				t.Errorf("%s --%s: the placeholder is %q: %s", cmd.CommandPath(), f.Name, name, usage)
			}
			if offers, ok := cmd.GetFlagCompletionFunc(f.Name); ok {
				words, _ := offers(cmd, nil, "")
				for _, word := range words {
					if word, _, _ = strings.Cut(word, "\t"); word == name {
						t.Errorf("%s --%s: the placeholder %q is a value", cmd.CommandPath(), f.Name, name)
					}
				}
			}
		})
	})
	if seen < 60 {
		t.Errorf("%d flags were seen", seen)
	}
}
