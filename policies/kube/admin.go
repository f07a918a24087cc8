package kube

import (
	"errors"
	"fmt"
)

// adminPolicy is an AdminNetworkPolicy or a BaselineAdminNetworkPolicy, which became the two tiers
// of ClusterNetworkPolicy (sigs.k8s.io/network-policy-api v0.2.0, apis/v1alpha1).
type adminPolicy struct {
	TypeMeta
	Metadata ObjectMeta `json:"metadata"`
	Spec     struct {
		Priority int32                `json:"priority"`
		Subject  ClusterPolicySubject `json:"subject"`
		Ingress  []struct {
			Name   string               `json:"name"`
			Action string               `json:"action"`
			From   []ClusterIngressPeer `json:"from"`
			Ports  *[]adminPort         `json:"ports"`
		} `json:"ingress"`
		Egress []struct {
			Name   string              `json:"name"`
			Action string              `json:"action"`
			To     []ClusterEgressPeer `json:"to"`
			Ports  *[]adminPort        `json:"ports"`
		} `json:"egress"`
	} `json:"spec"`
}

type adminPort struct {
	PortNumber *struct {
		Protocol string `json:"protocol"`
		Port     int32  `json:"port"`
	} `json:"portNumber"`
	PortRange *struct {
		Protocol string `json:"protocol"`
		Start    int32  `json:"start"`
		End      int32  `json:"end"`
	} `json:"portRange"`
	NamedPort *string `json:"namedPort"`
}

// decodeAdmin reads either kind and converts it to a ClusterNetworkPolicy that keeps its kind and
// name.
func decodeAdmin(data []byte) (ClusterNetworkPolicy, error) {
	var p adminPolicy
	unread, err := decodeStrict(data, &p)
	if err != nil {
		return ClusterNetworkPolicy{}, err
	}
	c := ClusterNetworkPolicy{TypeMeta: p.TypeMeta, Metadata: p.Metadata, Partial: Partial{unread}}
	c.Spec.Tier, c.Spec.Priority, c.Spec.Subject = "Admin", p.Spec.Priority, p.Spec.Subject
	if p.Kind == "BaselineAdminNetworkPolicy" {
		c.Spec.Tier = "Baseline"
	}
	var faults []error
	for i, r := range p.Spec.Ingress {
		protocols, err := adminProtocols(fmt.Sprintf("spec.ingress[%d]", i), r.Ports)
		faults = append(faults, err)
		c.Spec.Ingress = append(c.Spec.Ingress, ClusterIngressRule{r.Name, adminAction(r.Action), r.From, protocols})
	}
	for i, r := range p.Spec.Egress {
		protocols, err := adminProtocols(fmt.Sprintf("spec.egress[%d]", i), r.Ports)
		faults = append(faults, err)
		c.Spec.Egress = append(c.Spec.Egress, ClusterEgressRule{r.Name, adminAction(r.Action), r.To, protocols})
	}
	return c, errors.Join(faults...)
}

// adminAction returns the action of ClusterNetworkPolicy for an older one.
func adminAction(a string) string {
	if a == "Allow" {
		return "Accept"
	}
	return a
}

func adminProtocols(at string, ports *[]adminPort) ([]ClusterPolicyProtocol, error) {
	if ports == nil {
		return nil, nil
	}
	if len(*ports) == 0 {
		return nil, errors.New(at + ".ports is empty, and the API does not define whether that means all ports or none")
	}
	protocols := make([]ClusterPolicyProtocol, 0, len(*ports))
	for i, p := range *ports {
		var protocol string
		var port ClusterPolicyPort
		switch {
		case p.NamedPort != nil && p.PortNumber == nil && p.PortRange == nil:
			protocols = append(protocols, ClusterPolicyProtocol{DestinationNamedPort: *p.NamedPort})
			continue
		case p.PortNumber != nil && p.NamedPort == nil && p.PortRange == nil:
			protocol, port.Number = p.PortNumber.Protocol, p.PortNumber.Port
		case p.PortRange != nil && p.NamedPort == nil && p.PortNumber == nil:
			protocol, port.Range = p.PortRange.Protocol, &PortRange{p.PortRange.Start, p.PortRange.End}
		default:
			return nil, fmt.Errorf("%s.ports[%d] is not one of portNumber, portRange and namedPort", at, i)
		}
		transport := &ClusterPolicyTransport{&port}
		switch protocol {
		case "", "TCP":
			protocols = append(protocols, ClusterPolicyProtocol{TCP: transport})
		case "UDP":
			protocols = append(protocols, ClusterPolicyProtocol{UDP: transport})
		case "SCTP":
			protocols = append(protocols, ClusterPolicyProtocol{SCTP: transport})
		default:
			return nil, fmt.Errorf("%s.ports[%d] has the protocol %q", at, i, protocol)
		}
	}
	return protocols, nil
}
