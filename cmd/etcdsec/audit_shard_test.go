package main

import (
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/audit"
)

// The index of a Pod is that of its shard.
func TestShardOfAJob(t *testing.T) {
	for name, c := range map[string]struct {
		flags   shardFlags
		index   string
		want    *audit.Shard
		refused string
	}{
		"none":            {flags: shardFlags{}, index: "3"},
		"given":           {flags: shardFlags{shard: "0/1"}, want: &audit.Shard{Index: 0, Count: 1}},
		"the last":        {flags: shardFlags{shard: "7/8"}, want: &audit.Shard{Index: 7, Count: 8}},
		"of a Job":        {flags: shardFlags{shards: 8}, index: "3", want: &audit.Shard{Index: 3, Count: 8}},
		"both":            {flags: shardFlags{shard: "0/1", shards: 1}, refused: "give one of them"},
		"from 1":          {flags: shardFlags{shard: "8/8"}, refused: "want an index from 0 to 7"},
		"negative":        {flags: shardFlags{shard: "-1/8"}, refused: "want an index from 0 to 7"},
		"of none":         {flags: shardFlags{shard: "0/0"}, refused: "want 1 to 100000 shards"},
		"negative number": {flags: shardFlags{shards: -1}, index: "0", refused: "want 1 to 100000 shards"},
		"no slash":        {flags: shardFlags{shard: "3"}, refused: "want I/N"},
		"words":           {flags: shardFlags{shard: "a/b"}, refused: "want 1 to 100000 shards"},
		"not in a Job":    {flags: shardFlags{shards: 8}, refused: "JOB_COMPLETION_INDEX is not set"},
		"a smaller Job":   {flags: shardFlags{shards: 8}, index: "8", refused: `JOB_COMPLETION_INDEX="8": want an index from 0 to 7`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.flags.parse(func(name string) string {
				if name != "JOB_COMPLETION_INDEX" {
					t.Errorf("%s was asked for", name)
				}
				return c.index
			})
			if c.refused != "" {
				if err == nil || !strings.Contains(err.Error(), c.refused) {
					t.Errorf("got %v, want %q in it", err, c.refused)
				}
				return
			}
			if err != nil || (got == nil) != (c.want == nil) || got != nil && *got != *c.want {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
}
