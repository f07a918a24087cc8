package encryption

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Render returns the configuration as a file, which holds the keys. Equal configurations give equal
// bytes. comments are the first lines of the file, without their #.
func (c *Configuration) Render(comments ...string) ([]byte, error) {
	var b bytes.Buffer
	for _, comment := range comments {
		b.WriteString(strings.TrimRight("# "+comment, " ") + "\n")
	}
	rules := &yaml.Node{Kind: yaml.SequenceNode}
	for _, rule := range c.Rules {
		resources := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, r := range rule.Resources {
			resources.Content = append(resources.Content, textNode(r))
		}
		providers := &yaml.Node{Kind: yaml.SequenceNode}
		for _, p := range rule.Providers {
			providers.Content = append(providers.Content, mappingNode(string(p.Type), p.node()))
		}
		rules.Content = append(rules.Content, mappingNode("resources", resources, "providers", providers))
	}
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := encoder.Encode(mappingNode("apiVersion", textNode(APIVersion), "kind", textNode(Kind), "resources", rules)); err != nil {
		return nil, fmt.Errorf("rendering the EncryptionConfiguration: %w", err)
	}
	// What is put in force is what was meant, or nothing is.
	same, err := Parse("", b.Bytes(), Server{KMSv1: true})
	if err != nil {
		return nil, fmt.Errorf("rendering the EncryptionConfiguration: kube-apiserver would not load it: %w", err)
	}
	if !c.Equal(same) {
		return nil, errors.New("rendering the EncryptionConfiguration: the result would not mean the same")
	}
	return b.Bytes(), nil
}

func (p Provider) node() *yaml.Node {
	switch p.Type {
	case Identity:
		return &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
	case KMS:
		fields := []any{"apiVersion", textNode(p.Plugin.APIVersion), "name", textNode(p.Plugin.Name), "endpoint", textNode(p.Plugin.Endpoint), "timeout", textNode(p.Plugin.Timeout.String())}
		if p.Plugin.APIVersion == KMSVersion1 {
			fields = append(fields, "cachesize", &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: fmt.Sprint(p.Plugin.CacheSize)})
		}
		return mappingNode(fields...)
	case Secretbox, AESGCM, AESCBC:
	}
	keys := &yaml.Node{Kind: yaml.SequenceNode}
	for _, k := range p.Keys {
		encoded := base64.StdEncoding.EncodeToString(k.bytes())
		keys.Content = append(keys.Content, mappingNode("name", textNode(k.Name), "secret", quotedNode(encoded)))
	}
	return mappingNode("keys", keys)
}

// mappingNode returns a mapping; pairs are names and nodes in turn.
func mappingNode(pairs ...any) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, p := range pairs {
		switch p := p.(type) {
		case string:
			n.Content = append(n.Content, textNode(p))
		case *yaml.Node:
			n.Content = append(n.Content, p)
		}
	}
	return n
}

// textNode returns a node that is a string to every YAML library: in quotes, unless it is a plain word. kube-apiserver
// reads YAML 1.1, in which yes, 010 and 1:30 are not strings.
func textNode(s string) *yaml.Node {
	n := quotedNode(s)
	plain := strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-./") == "" && strings.ContainsAny(s[:min(1, len(s))], "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
	if plain && !slices.Contains([]string{"y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf"}, strings.ToLower(s)) {
		n.Style = 0
	}
	return n
}

func quotedNode(s string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s, Style: yaml.DoubleQuotedStyle}
}

// Equal reports whether two configurations have the same rules.
func (c *Configuration) Equal(other *Configuration) bool {
	return slices.EqualFunc(c.Rules, other.Rules, func(a, b Rule) bool {
		return slices.Equal(a.Resources, b.Resources) && slices.EqualFunc(a.Providers, b.Providers, Provider.equal)
	})
}

func (p Provider) equal(other Provider) bool {
	if p.Type != other.Type || (p.Plugin == nil) != (other.Plugin == nil) {
		return false
	}
	if p.Plugin != nil {
		a, b := *p.Plugin, *other.Plugin
		a.Unversioned, b.Unversioned = false, false // v1 by default is v1
		return a == b
	}
	return slices.EqualFunc(p.Keys, other.Keys, func(a, b Key) bool { return a.Name == b.Name && a.Same(b) })
}
