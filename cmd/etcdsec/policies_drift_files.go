package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/kube"
	"github.com/etcdsec/etcdsec/policies/nft"
	"github.com/etcdsec/etcdsec/policies/reach"
)

// policyDrift compares files with what the spec means.
type policyDrift struct {
	flags  policiesDriftFlags
	intent *policies.Intent
	files  policyFiles
	found  []policyDifference
}

// compare takes rulesets and units each by itself, and the objects of all files together.
func (d *policyDrift) compare(given []string) ([]policyDifference, error) {
	var have kube.Objects
	objects := false
	for _, g := range given {
		node, path := splitNode(g)
		data, err := d.files.bytes(path)
		if err != nil {
			return nil, failure(err, "")
		}
		where := path
		if path == "-" {
			where = "stdin"
		}
		if node == "" {
			node = d.flags.node
		}
		switch {
		case isRuleset(data):
			err = d.ruleset(node, where, data)
		case isUnit(where, data):
			err = d.unit(where, data)
		default:
			var o kube.Objects
			if o, err = kube.Decode(where, data); err == nil {
				objects = true
				have.Add(o)
			} else {
				err = failure(err, "")
			}
		}
		if err != nil {
			return nil, err
		}
	}
	if !objects {
		return d.found, nil
	}
	want, err := d.objects()
	if err != nil {
		return nil, err
	}
	for _, o := range policies.ObjectDrift(want, have) {
		what := o.Object
		if o.Field != "" {
			what += " " + o.Field
		}
		d.found = append(d.found, policyDifference{What: what, Kind: o.What, Want: o.Want, Live: o.Have})
	}
	return d.found, nil
}

func (d *policyDrift) ruleset(node, where string, data []byte) error {
	if err := d.intent.Refuse("nftables"); err != nil {
		return usageError(err, "")
	}
	if node == autoNode {
		return usageError(fmt.Errorf("%s: of which host is it? --node is missing", where), "--node "+d.intent.Members[0].Name+", or "+d.intent.Members[0].Name+"="+where)
	}
	live, err := nft.Parse(data)
	if err != nil {
		return failure(fmt.Errorf("%s: %w", where, err), "")
	}
	d.found = append(d.found, nftDifferences(where, nft.Diff(namedHost(d.intent, node).rules(d.intent), live))...)
	return nil
}

// unit compares a drop-in of systemd, which is the same for every member.
func (d *policyDrift) unit(where string, data []byte) error {
	rendered, err := policies.Render(d.intent, "systemd", policies.RenderOptions{})
	if err != nil {
		return usageError(err, "")
	}
	live, err := reach.ParseDropIn(where, data)
	if err != nil {
		return failure(err, "")
	}
	want, err := reach.ParseDropIn("what is rendered", rendered.Text)
	if err != nil {
		return failure(err, "")
	}
	for _, list := range []struct {
		name       string
		want, live []netip.Prefix
	}{{"IPAddressDeny", want.Deny, live.Deny}, {"IPAddressAllow", want.Allow, live.Allow}} {
		for _, p := range list.want {
			if !slices.Contains(list.live, p) {
				d.found = append(d.found, policyDifference{Where: where, What: list.name, Kind: nft.Missing, Want: p.String()})
			}
		}
		for _, p := range list.live {
			if !slices.Contains(list.want, p) {
				d.found = append(d.found, policyDifference{Where: where, What: list.name, Kind: nft.Extra, Live: p.String()})
			}
		}
	}
	return nil
}

// objects are those that the backends of the spec, or the one that is meant, are made of.
func (d *policyDrift) objects() (kube.Objects, error) {
	backends := d.intent.Backends
	if d.flags.backend != "" {
		backends = []string{d.flags.backend}
	}
	var want kube.Objects
	made := false
	for _, backend := range backends {
		rendered, err := policies.Render(d.intent, backend, policies.RenderOptions{CiliumStrict: d.flags.strict})
		if err != nil {
			return want, usageError(err, "")
		}
		if rendered.Rules != nil || len(rendered.Units) > 0 {
			continue
		}
		made = true
		want.Add(rendered.Objects)
	}
	if !made {
		return want, usageError(errors.New("objects were given, and no backend of the spec is made of any"), "--backend calico, cilium, networkpolicy or clusternetworkpolicy")
	}
	return want, nil
}
