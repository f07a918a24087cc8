package policies

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/etcdsec/etcdsec/policies/kube"
)

// Unknown is what a Difference is that could not be compared.
const Unknown = "unknown"

// Difference is one thing in which a cluster's objects are not as an intent wants them.
type Difference struct {
	Object string `json:"object"` // its kind and name, such as GlobalNetworkPolicy prod-etcd
	What   string `json:"what"`   // missing, changed, extra, or unknown
	Field  string `json:"field,omitempty"`
	Want   string `json:"want,omitempty"` // as JSON; nothing where it is to be absent
	Have   string `json:"have,omitempty"` // of what is unknown, why
}

// ObjectDrift compares what Render gives with what a cluster has, after the defaults that an API
// server fills in, and without regard to order where it has no meaning. Objects of others are
// left alone; those labelled as ours that are not wanted are extra. An object that was skipped
// while it was read is unknown. The differences are in the order of what is wanted.
func ObjectDrift(want, have kube.Objects) []Difference {
	wanted, there := normal(want), normal(have)
	var found []Difference
	for _, w := range wanted {
		at := slices.IndexFunc(there, func(h normalObject) bool { return h.name == w.name })
		if at >= 0 {
			found = append(found, w.differences(there[at])...)
			continue
		}
		skipped := slices.IndexFunc(have.Skipped, func(s kube.Skipped) bool {
			kind, _, _ := strings.Cut(s.Kind, ".")
			return kind+" "+s.Name == w.name
		})
		if skipped >= 0 {
			found = append(found, Difference{Object: w.name, What: Unknown, Have: have.Skipped[skipped].Why})
			continue
		}
		found = append(found, Difference{Object: w.name, What: "missing"})
	}
	for _, h := range there {
		if h.ours && !slices.ContainsFunc(wanted, func(w normalObject) bool { return w.name == h.name }) {
			found = append(found, Difference{Object: h.name, What: "extra"})
		}
	}
	return found
}

// normalObject is an object in the form in which equal ones are equal.
type normalObject struct {
	name    string
	ours    bool
	fields  map[string]any
	ordered []string // the lists in which the order decides
	partial bool     // only the fields that are wanted concern us
}

func normal(o kube.Objects) []normalObject {
	var all []normalObject
	add := func(t kube.TypeMeta, m kube.ObjectMeta, spec any, ordered ...string) {
		name := m.Name
		if strings.HasPrefix(t.APIVersion, "crd.projectcalico.org/") && strings.HasSuffix(t.Kind, "NetworkPolicy") {
			name = strings.TrimPrefix(name, "default.") // which Calico puts before it there
		}
		if m.Namespace != "" {
			name = m.Namespace + "/" + name
		}
		all = append(all, normalObject{
			name: t.Kind + " " + name, ours: m.Labels[ManagedBy] == Manager,
			fields: map[string]any{"spec": tree(spec)}, ordered: ordered, partial: t.Kind == "FelixConfiguration",
		})
	}
	for _, f := range o.FelixConfigurations {
		add(f.TypeMeta, f.Metadata, f.Spec)
	}
	for _, p := range o.CalicoPolicies {
		add(p.TypeMeta, p.Metadata, calicoDefaults(p.Spec), "spec.ingress", "spec.egress")
	}
	for _, e := range o.HostEndpoints {
		add(e.TypeMeta, e.Metadata, e.Spec, "spec.profiles")
		// By this label the policies know it.
		all[len(all)-1].fields["metadata"] = map[string]any{"labels": map[string]any{hostRole: e.Metadata.Labels[hostRole]}}
	}
	for _, p := range o.CiliumPolicies {
		add(p.TypeMeta, p.Metadata, ciliumDefaults(p), "spec") // its rules; within one, order decides nothing
	}
	for _, p := range o.ClusterNetworkPolicies {
		add(p.TypeMeta, p.Metadata, p.Spec, "spec.ingress", "spec.egress")
	}
	for _, p := range o.NetworkPolicies {
		add(p.TypeMeta, p.Metadata, networkPolicyDefaults(p.Spec))
	}
	return all
}

// tree is a value as JSON has it. The types of package kube have no value that JSON has not.
func tree(v any) any {
	data, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	var t any
	if err := json.Unmarshal(data, &t); err != nil {
		return err.Error()
	}
	return t
}

// networkPolicyDefaults are those of kubernetes/kubernetes pkg/apis/networking/v1/defaults.go.
func networkPolicyDefaults(s kube.NetworkPolicySpec) kube.NetworkPolicySpec {
	if len(s.PolicyTypes) == 0 {
		s.PolicyTypes = []string{"Ingress"}
		if len(s.Egress) > 0 {
			s.PolicyTypes = append(s.PolicyTypes, "Egress")
		}
	}
	ports := func(given []kube.PolicyPort) []kube.PolicyPort {
		filled := slices.Clone(given)
		for i := range filled {
			if filled[i].Protocol == "" {
				filled[i].Protocol = "TCP"
			}
		}
		return filled
	}
	s.Ingress, s.Egress = slices.Clone(s.Ingress), slices.Clone(s.Egress)
	for i := range s.Ingress {
		s.Ingress[i].Ports = ports(s.Ingress[i].Ports)
	}
	for i := range s.Egress {
		s.Egress[i].Ports = ports(s.Egress[i].Ports)
	}
	return s
}

// calicoDefaults are those of projectcalico/calico libcalico-go/lib/clientv3.
func calicoDefaults(s kube.CalicoPolicySpec) kube.CalicoPolicySpec {
	if s.Tier == "" {
		s.Tier = "default"
	}
	if len(s.Types) == 0 {
		switch {
		case len(s.Egress) == 0:
			s.Types = []string{"Ingress"}
		case len(s.Ingress) == 0:
			s.Types = []string{"Egress"}
		default:
			s.Types = []string{"Ingress", "Egress"}
		}
	}
	return s
}

// ciliumDefaults are those of cilium/cilium pkg/policy/api, Rule.Sanitize.
func ciliumDefaults(p kube.CiliumPolicy) []kube.CiliumRule {
	rules := slices.Clone(p.Specs)
	if p.Spec != nil {
		rules = append(rules, *p.Spec)
	}
	for i, r := range rules {
		in, out := len(r.Ingress)+len(r.IngressDeny) > 0, len(r.Egress)+len(r.EgressDeny) > 0
		d := kube.CiliumDefaultDeny{Ingress: &in, Egress: &out}
		if given := r.EnableDefaultDeny; given != nil {
			if given.Ingress != nil {
				d.Ingress = given.Ingress
			}
			if given.Egress != nil {
				d.Egress = given.Egress
			}
		}
		rules[i].EnableDefaultDeny, rules[i].Description = &d, ""
	}
	return rules
}

func (w normalObject) differences(h normalObject) []Difference {
	c := comparison{object: w}
	c.compare("", w.fields, h.fields)
	return c.found
}

type comparison struct {
	object normalObject
	found  []Difference
}

func (c *comparison) add(field string, want, have any) {
	c.found = append(c.found, Difference{Object: c.object.name, What: "changed", Field: field, Want: compact(want), Have: compact(have)})
}

// compact is a value as JSON, in which maps are sorted; nothing for what is absent.
func compact(v any) string {
	if v == nil {
		return ""
	}
	data, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

func (c *comparison) compare(field string, want, have any) {
	switch w := want.(type) {
	case map[string]any:
		h, ok := have.(map[string]any)
		if !ok {
			c.add(field, want, have)
			return
		}
		c.maps(field, w, h)
	case []any:
		h, ok := have.([]any)
		switch {
		case !ok:
			c.add(field, want, have)
		case slices.Contains(c.object.ordered, field):
			c.inOrder(field, w, h)
		default:
			c.unordered(field, w, h)
		}
	default:
		if compact(want) != compact(have) {
			c.add(field, want, have)
		}
	}
}

func (c *comparison) maps(field string, want, have map[string]any) {
	names := slices.Collect(maps.Keys(want))
	if !c.object.partial || field != "spec" {
		names = slices.AppendSeq(names, maps.Keys(have))
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		below := strings.TrimPrefix(field+"."+name, ".")
		w, wanted := want[name]
		h, there := have[name]
		switch {
		case !wanted:
			c.add(below, nil, h)
		case !there:
			c.add(below, w, nil)
		default:
			c.compare(below, w, h)
		}
	}
}

func (c *comparison) inOrder(field string, want, have []any) {
	for i := range max(len(want), len(have)) {
		at := field + "[" + strconv.Itoa(i) + "]"
		switch {
		case i >= len(want):
			c.add(at, nil, have[i])
		case i >= len(have):
			c.add(at, want[i], nil)
		default:
			c.compare(at, want[i], have[i])
		}
	}
}

// unordered names the elements that one side has and the other has not. Lists within are sorted
// first, so that their order makes no difference either.
func (c *comparison) unordered(field string, want, have []any) {
	left := map[string]int{}
	for _, h := range have {
		left[canonical(h)]++
	}
	for i, w := range want {
		if text := canonical(w); left[text] > 0 {
			left[text]--
			continue
		}
		c.add(fmt.Sprintf("%s[%d]", field, i), w, nil)
	}
	for _, h := range have {
		if text := canonical(h); left[text] > 0 {
			left[text]--
			c.add(field, nil, h)
		}
	}
}

func canonical(v any) string {
	switch v := v.(type) {
	case map[string]any:
		var b strings.Builder
		for _, name := range slices.Sorted(maps.Keys(v)) {
			b.WriteString(strconv.Quote(name) + ":" + canonical(v[name]) + ",")
		}
		return "{" + b.String() + "}"
	case []any:
		all := make([]string, 0, len(v))
		for _, element := range v {
			all = append(all, canonical(element))
		}
		slices.Sort(all)
		return "[" + strings.Join(all, ",") + "]"
	}
	return compact(v)
}
