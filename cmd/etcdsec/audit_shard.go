package main

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/collect"
)

// indexVariable names the variable by which each Pod of an Indexed Job learns its index
// (https://kubernetes.io/docs/concepts/workloads/controllers/job/#completion-mode).
const indexVariable = "JOB_COMPLETION_INDEX"

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

// parse returns the shard to audit, or nil for all targets. getenv is os.Getenv.
func (s shardFlags) parse(getenv func(string) string) (*audit.Shard, error) {
	var shard audit.Shard
	var err error
	from := fmt.Sprintf("--shard %q", s.shard)
	switch {
	case s.shard != "" && s.shards != 0:
		return nil, usageError(errors.New("--shard and --shards exclude each other: give one of them"), "")
	case s.shard != "":
		shard, err = collect.ParseShard(s.shard)
	case s.shards != 0:
		index := getenv(indexVariable)
		if index == "" {
			return nil, usageError(fmt.Errorf("--shards %d: %s is not set; Kubernetes sets it in the Pods of an Indexed Job", s.shards, indexVariable), fmt.Sprintf("etcdsec audit run --shard 0/%d", s.shards))
		}
		from = fmt.Sprintf("--shards %d with %s=%q", s.shards, indexVariable, index)
		shard, err = collect.NewShard(index, strconv.Itoa(s.shards))
	default:
		return nil, nil
	}
	if err != nil {
		return nil, usageError(fmt.Errorf("%s: %w", from, err), "")
	}
	return &shard, nil
}
