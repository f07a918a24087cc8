package collect

import (
	"cmp"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"strconv"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// maxShards is far more than the Pods of any Job.
const maxShards = 100_000

// ParseShard reads a shard written as I/N: the one with index I, from 0, of N.
func ParseShard(written string) (audit.Shard, error) {
	index, count, found := strings.Cut(written, "/")
	if !found {
		return audit.Shard{}, errors.New("want I/N, such as 0/8")
	}
	return NewShard(index, count)
}

// NewShard returns the shard with an index, from 0, of a number of shards.
func NewShard(index, count string) (audit.Shard, error) {
	n, err := strconv.ParseUint(count, 10, 32)
	if err != nil || n == 0 || n > maxShards {
		return audit.Shard{}, fmt.Errorf("want 1 to %d shards", maxShards)
	}
	i, err := strconv.ParseUint(index, 10, 32)
	if err != nil || i >= n {
		return audit.Shard{}, fmt.Errorf("want an index from 0 to %d", n-1)
	}
	return audit.Shard{Index: int(i), Count: int(n)}, nil
}

// Shard returns the endpoints of one of count shards, index counting from 0, in their order.
// Every endpoint is in exactly one shard. The endpoints of one host stay together, and those of
// one cluster if its name was given, because some checks compare them. The shard of a host
// depends only on its name and on count, not on the other endpoints.
func Shard(endpoints []Endpoint, index, count int) []Endpoint {
	var share []Endpoint
	for _, e := range endpoints {
		if shardOf(e, count) == index {
			share = append(share, e)
		}
	}
	return share
}

func shardOf(e Endpoint, count int) int {
	host, _, err := net.SplitHostPort(e.Address)
	if err != nil {
		host = e.Address
	}
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(cmp.Or(e.ClusterName, host))) // never fails
	return int(hash.Sum64() % uint64(count))               //nolint:gosec // both are far below the limit of an int
}
