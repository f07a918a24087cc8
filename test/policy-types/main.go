// Command policy-types reads manifests of network policies with the types of Kubernetes,
// network-policy-api, Calico and Cilium, and with their validation as far as it can be imported. It is
// strict: an unknown or repeated field is an error. Each argument is a file with one or more documents.
// It prints a line for each document: its kind, namespace and name.
package main

import (
	"errors"
	"fmt"
	"os"
	"regexp"

	"github.com/cilium/cilium/pkg/option"
	"github.com/cilium/cilium/pkg/policy/api"
	calico "github.com/projectcalico/api/pkg/apis/projectcalico/v3"
	networking "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	kjson "sigs.k8s.io/json"
	cnp "sigs.k8s.io/network-policy-api/apis/v1alpha2"
	"sigs.k8s.io/yaml"
)

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: policy-types FILE...")
		os.Exit(2)
	}
	// fromNodes and toNodes are refused by agents without --enable-node-selector-labels, which
	// is what our manifests with them say first.
	option.Config.EnableNodeSelectorLabels = true
	failed := false
	for _, path := range os.Args[1:] {
		if err := file(path); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", path, err)
			failed = true
		}
	}
	if failed {
		os.Exit(1)
	}
}

var separator = regexp.MustCompile(`(?m)^---\n`)

func file(path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	count := 0
	for _, document := range separator.Split(string(data), -1) {
		var any map[string]any
		if err := yaml.Unmarshal([]byte(document), &any); err != nil {
			return err
		}
		if len(any) == 0 {
			continue // comments alone
		}
		count++
		if err := check([]byte(document)); err != nil {
			return fmt.Errorf("document %d: %w", count, err)
		}
	}
	if count == 0 {
		return errors.New("no document in it")
	}
	return nil
}

func check(document []byte) error {
	var meta metav1.TypeMeta
	if err := yaml.Unmarshal(document, &meta); err != nil {
		return err
	}
	var into metav1.Object
	validate := func() error { return nil }
	switch meta.APIVersion + " " + meta.Kind {
	case networking.SchemeGroupVersion.String() + " NetworkPolicy":
		into = new(networking.NetworkPolicy)
	case cnp.GroupVersion.String() + " ClusterNetworkPolicy":
		into = new(cnp.ClusterNetworkPolicy)
	case calico.GroupVersionCurrent + " HostEndpoint":
		into = calico.NewHostEndpoint()
	case calico.GroupVersionCurrent + " GlobalNetworkPolicy":
		into = calico.NewGlobalNetworkPolicy()
	case calico.GroupVersionCurrent + " FelixConfiguration":
		into = calico.NewFelixConfiguration()
	case "cilium.io/v2 CiliumClusterwideNetworkPolicy":
		policy := new(ciliumPolicy)
		into, validate = policy, policy.sanitize
	default:
		return fmt.Errorf("a %s of %s, for which there is no type here", meta.Kind, meta.APIVersion)
	}
	// An API server tells fields apart by their capitals too.
	text, err := yaml.YAMLToJSONStrict(document)
	if err != nil {
		return err
	}
	strict, err := kjson.UnmarshalStrict(text, into)
	if err := errors.Join(append(strict, err)...); err != nil {
		return err
	}
	namespaced := meta.Kind == "NetworkPolicy"
	faults := validation.ValidateObjectMetaAccessor(into, namespaced, validation.NameIsDNSSubdomain, field.NewPath("metadata"))
	if err := errors.Join(faults.ToAggregate(), validate()); err != nil {
		return err
	}
	fmt.Printf("%s %s/%s\n", meta.Kind, into.GetNamespace(), into.GetName())
	return nil
}

// ciliumPolicy is a CiliumClusterwideNetworkPolicy. The package with its real type
// (pkg/k8s/apis/cilium.io/v2) imports half of Cilium, and the type has only this rule.
type ciliumPolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              *api.Rule `json:"spec,omitempty"`
	Specs             api.Rules `json:"specs,omitempty"`
}

// sanitize checks a policy as an agent does before it accepts it.
func (p *ciliumPolicy) sanitize() error {
	rules := p.Specs
	if p.Spec != nil {
		rules = append(rules, p.Spec)
	}
	if len(rules) == 0 {
		return errors.New("neither spec nor specs")
	}
	for _, rule := range rules {
		if err := rule.Sanitize(); err != nil {
			return err
		}
	}
	return nil
}
