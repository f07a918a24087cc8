package rbac

import "strings"

// compactRevKey is the key by which API servers agree on who compacts. It is not below their prefix
// (k8s.io/apiserver pkg/storage/etcd3/compact.go).
const compactRevKey = "compact_rev_key"

// apiServerRequests returns the requests that kube-apiserver sends to etcd (k8s.io/apiserver v0.36,
// pkg/storage/etcd3, storage/feature and storage/storagebackend/factory).
func apiServerRequests(prefix string, compacts bool) []Request {
	all, one := Prefix(prefix), Single(prefix+"configmaps/default/name")
	key := Single(compactRevKey)
	requests := []Request{
		{Method: Range, Reads: []KeyRange{one}},
		{Method: Range, Reads: []KeyRange{all}},
		// Create, update and delete are a comparison, a write and a read of the same key.
		{Method: Txn, Reads: []KeyRange{one}, Writes: []KeyRange{one}},
		{Method: Watch, Reads: []KeyRange{all}},
		{Method: LeaseGrant}, // of events
		// /healthz, /livez and /readyz.
		{Method: Range, Reads: []KeyRange{Single(prefix + "health")}},
		// Whether etcd can be asked for progress is asked for ever, and the size of the database.
		{Method: Status},
		// The snapshots of the watch cache end where etcd was compacted (ListFromCacheSnapshot).
		{Method: Range, Reads: []KeyRange{key}},
		{Method: Watch, Reads: []KeyRange{key}},
	}
	if compacts {
		requests = append(requests,
			Request{Method: Txn, Reads: []KeyRange{key}, Writes: []KeyRange{key}},
			Request{Method: Compact})
	}
	return requests
}

// keyPrefix turns the --etcd-prefix of kube-apiserver into the beginning of its keys.
func keyPrefix(written string) string { return "/" + strings.Trim(written, "/") + "/" }
