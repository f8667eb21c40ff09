// Package connect makes gRPC connections to services that may run as several
// replicas, be they named one by one or by a host name with an address for each.
package connect

import (
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
)

// roundRobin spreads calls over all replicas that can be reached. It connects to all of
// them, so that one that is gone costs no call: the default stays with the first.
const roundRobin = `{"loadBalancingConfig":[{"round_robin":{}}]}`

// RoundRobin is the option by which a connection spreads its calls over all addresses.
func RoundRobin() grpc.DialOption { return grpc.WithDefaultServiceConfig(roundRobin) }

// To makes a connection to the replicas of a service. It is established when it is
// first used. Whether a replica is ready is not asked: whoever looks after a service
// has to reach one that is not.
func To(addresses []string, options ...grpc.DialOption) (*grpc.ClientConn, error) {
	if len(addresses) == 0 {
		return nil, errors.New("connect: no address")
	}
	options = append([]grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials()), RoundRobin()}, options...)
	target := addresses[0]
	if len(addresses) > 1 {
		list := manual.NewBuilderWithScheme("replicas")
		list.InitialState(resolver.State{Endpoints: endpoints(addresses)})
		options = append(options, grpc.WithResolvers(list))
		target = list.Scheme() + ":///" + addresses[0] // which is what the servers are told they are called
	}
	conn, err := grpc.NewClient(target, options...)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", strings.Join(addresses, ", "), err)
	}
	return conn, nil
}

func endpoints(addresses []string) []resolver.Endpoint {
	var all []resolver.Endpoint
	for _, address := range addresses {
		all = append(all, resolver.Endpoint{Addresses: []resolver.Address{{Addr: address}}})
	}
	return all
}
