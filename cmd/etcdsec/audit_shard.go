package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/audit"
)

// indexVariable is what Kubernetes tells each Pod of an Indexed Job
// (https://kubernetes.io/docs/concepts/workloads/controllers/job/#completion-mode).
const indexVariable = "JOB_COMPLETION_INDEX"

// maxShards is far above any Job.
const maxShards = 100_000

// shardFlags are --shard and --shards.
type shardFlags struct {
	shard  string
	shards int
}

func (s *shardFlags) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.shard, "shard", "", "audit only the part `I/N` of the targets, I from 0 to N-1")
	f.IntVar(&s.shards, "shards", 0, "as --shard, with the index from "+indexVariable+": `number` of Pods of an Indexed Job")
}

// parse gives the shard that is meant, nil for all targets. getenv is os.Getenv.
func (s shardFlags) parse(getenv func(string) string) (*audit.Shard, error) {
	index, count, from := "", "", ""
	switch {
	case s.shard != "" && s.shards != 0:
		return nil, usageError(errors.New("--shard and --shards: want one of them"), "")
	case s.shard != "":
		var found bool
		if index, count, found = strings.Cut(s.shard, "/"); !found {
			return nil, usageError(fmt.Errorf("--shard %q: want I/N, such as 0/8", s.shard), "")
		}
		from = fmt.Sprintf("--shard %q", s.shard)
	case s.shards != 0:
		index, count = getenv(indexVariable), strconv.Itoa(s.shards)
		from = fmt.Sprintf("--shards %d with %s=%q", s.shards, indexVariable, index)
		if index == "" {
			return nil, usageError(fmt.Errorf("--shards %d: %s is not set; it is in a Pod of an Indexed Job", s.shards, indexVariable), fmt.Sprintf("etcdsec audit run --shard 0/%d", s.shards))
		}
	default:
		return nil, nil
	}
	n, err := strconv.ParseUint(count, 10, 32)
	if err != nil || n == 0 || n > maxShards {
		return nil, usageError(fmt.Errorf("%s: want 1 to %d shards", from, maxShards), "")
	}
	i, err := strconv.ParseUint(index, 10, 32)
	if err != nil || i >= n {
		return nil, usageError(fmt.Errorf("%s: want an index from 0 to %d", from, n-1), "")
	}
	return &audit.Shard{Index: int(i), Count: int(n)}, nil
}
