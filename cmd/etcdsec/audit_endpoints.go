package main

import (
	"errors"
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/collect"
)

// secureAPIPort is the port on which an API server of a spec listens.
const secureAPIPort = collect.SecureAPIPort

// auditEndpoints returns the listeners to audit: those of the spec, then those of --targets, then
// those of the command line.
func (a *app) auditEndpoints(flags auditRunFlags) ([]collect.Endpoint, error) {
	minTLS, err := minTLSVersion(flags.minTLS)
	if err != nil {
		return nil, err
	}
	if flags.spec == "-" && flags.targets == "-" {
		return nil, usageError(errors.New("-f - with --targets -: standard input can be only one of them"), "")
	}
	var ofSpec []collect.Endpoint
	if flags.spec != "" {
		c, err := a.loadSpec(flags.spec)
		if err != nil {
			return nil, err
		}
		ofSpec = collect.SpecEndpoints(c, minTLS)
	}
	listed, err := a.loadTargets(flags.targets)
	if err != nil {
		return nil, err
	}
	endpoints, err := collect.Gather(ofSpec, listed, []collect.Given{
		{Kind: audit.Client, Written: flags.endpoints},
		{Kind: audit.Peer, Origin: "--peer: ", Written: flags.peers},
		{Kind: audit.Metrics, Origin: "--metrics: ", Written: flags.metrics},
		{Kind: audit.APIServer, Origin: "--apiserver: ", Written: flags.apiServers},
		{Kind: audit.Kubelet, Origin: "--kubelet: ", Written: flags.kubelets},
	}, minTLS)
	if err != nil {
		return nil, usageError(err, "etcdsec audit run 10.0.0.11:2379 --peer 10.0.0.11:2380")
	}
	return endpoints, nil
}

// minTLSVersion parses the value of --min-tls. It returns 0 for an empty one.
func minTLSVersion(written string) (uint16, error) {
	version, err := collect.ParseTLSVersion(written)
	if err != nil {
		return 0, usageError(fmt.Errorf("--min-tls %w", err), "")
	}
	return version, nil
}
