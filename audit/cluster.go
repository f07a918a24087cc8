package audit

import (
	"fmt"
	"net"
	"slices"
)

// Clusters puts the listeners of each cluster side by side, as one target of kind Cluster
// each, in the order in which their first listener comes. Listeners are of one cluster if
// the spec says so, or if they tell the same cluster ID; one that tells none, such as a
// metrics port, is of the cluster of its host. An API server or kubelet of which even that
// is not known is of the only cluster there is. Listeners of which nothing tells the cluster
// are in none, unless nothing tells any cluster and there is an API server or kubelet: to
// name it beside them says that they are one. Where the audit was interrupted, the clusters
// are without their listeners.
func Clusters(targets []*Target) []*Target {
	hosts, only := clustersOfHosts(targets), onlyCluster(targets)
	var clusters []*Target
	for _, t := range targets {
		if t.Kind == Config || t.Kind == Cluster {
			continue
		}
		name := clusterName(t)
		if name == "" {
			name = hosts[hostOf(t)]
		}
		if name == "" && (isForeign(t) || only == unnamed) {
			name = only
		}
		if name == "" {
			continue
		}
		at := slices.IndexFunc(clusters, func(c *Target) bool { return c.Address == name })
		if at < 0 {
			at = len(clusters)
			clusters = append(clusters, &Target{Address: name, Kind: Cluster, Now: t.Now})
		}
		if clusters[at].ClusterName == "" {
			clusters[at].ClusterName = t.ClusterName
		}
		if clusters[at].ClusterID == 0 {
			clusters[at].ClusterID = t.ClusterID
		}
		clusters[at].Cluster = append(clusters[at].Cluster, t)
	}
	if slices.ContainsFunc(targets, (*Target).Interrupted) {
		// Whose the listeners are that were not observed nobody knows, so no cluster is whole.
		for _, c := range clusters {
			c.Cluster, c.Reach = nil, interruption()
		}
	}
	return clusters
}

// clustersOfHosts gives for each host the name of its cluster, empty if it has two.
func clustersOfHosts(targets []*Target) map[string]string {
	hosts := map[string]string{}
	for _, t := range targets {
		name := clusterName(t)
		if name == "" {
			continue
		}
		host := hostOf(t)
		if known, found := hosts[host]; found && known != name {
			name = "" // and it stays so: a later listener finds it known
		}
		hosts[host] = name
	}
	return hosts
}

// unnamed is the cluster of listeners that do not tell their own.
const unnamed = "cluster of the given endpoints"

// onlyCluster is the cluster that an API server or kubelet without one belongs to; empty if
// there is none or more than one.
func onlyCluster(targets []*Target) string {
	var names []string
	withForeign := false
	for _, t := range targets {
		withForeign = withForeign || isForeign(t)
		if name := clusterName(t); name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	switch {
	case len(names) == 1:
		return names[0]
	case len(names) == 0 && withForeign:
		return unnamed
	default:
		return ""
	}
}

// isForeign reports whether a listener is not one of etcd's.
func isForeign(t *Target) bool { return t.Kind == APIServer || t.Kind == Kubelet }

func clusterName(t *Target) string {
	switch {
	case t.ClusterName != "":
		return "cluster " + t.ClusterName
	case t.ClusterID != 0:
		return fmt.Sprintf("cluster %x", t.ClusterID)
	default:
		return ""
	}
}

func hostOf(t *Target) string {
	host, _, err := net.SplitHostPort(t.Address)
	if err != nil {
		return t.Address
	}
	return host
}

// Of returns the listeners of a cluster that have one of the given kinds.
func (t *Target) Of(kinds ...Kind) []*Target {
	var of []*Target
	for _, listener := range t.Cluster {
		if slices.Contains(kinds, listener.Kind) {
			of = append(of, listener)
		}
	}
	return of
}
