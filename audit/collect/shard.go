package collect

import (
	"cmp"
	"hash/fnv"
	"net"
)

// Shard returns the endpoints of one of count shards, index counting from 0, in their order.
// Every endpoint is in exactly one shard. Those of one host are together, and those of one
// cluster where its name was given, because some checks put them side by side. Which shard a
// host is in depends on its name and on count alone, not on the other endpoints.
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
