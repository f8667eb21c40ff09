// Package replicas makes the operator's calls, which each replica answers for itself:
// it finds the replicas behind the addresses and asks all of them.
package replicas

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/durationpb"

	inventoryv1 "orderflow/api/proto/inventory/v1"
)

// Inventory are all replicas of inventory-srv.
type Inventory struct {
	addresses []string
	conns     []*grpc.ClientConn
}

// State is what one replica has answered.
type State struct {
	Address string
	*inventoryv1.ConsumersState
}

// Find finds the replicas behind the addresses. A name that stands for several of
// them, as that of a service in a cluster does, is asked for all. The connections are
// made when they are first used; Close closes them.
func Find(ctx context.Context, addresses ...string) (*Inventory, error) {
	i := &Inventory{}
	for _, address := range addresses {
		found, err := resolve(ctx, address)
		if err != nil {
			return nil, fmt.Errorf("find the replicas of inventory-srv at %s: %w", address, err)
		}
		i.addresses = append(i.addresses, found...)
	}
	slices.Sort(i.addresses)
	i.addresses = slices.Compact(i.addresses)
	for _, address := range i.addresses {
		conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			return nil, errors.Join(fmt.Errorf("connect to %s: %w", address, err), i.Close())
		}
		i.conns = append(i.conns, conn)
	}
	return i, nil
}

// resolve returns what the address stands for. A host that has addresses of both
// families is one host: those of IPv4 are taken.
func resolve(ctx context.Context, address string) ([]string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	all, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	for i := range all {
		all[i] = all[i].Unmap()
	}
	if slices.ContainsFunc(all, netip.Addr.Is4) {
		all = slices.DeleteFunc(all, func(ip netip.Addr) bool { return !ip.Is4() })
	}
	found := make([]string, len(all))
	for i, ip := range all {
		found[i] = net.JoinHostPort(ip.String(), port)
	}
	return found, nil
}

// Close closes the connections.
func (i *Inventory) Close() error {
	errs := make([]error, len(i.conns))
	for n, conn := range i.conns {
		errs[n] = conn.Close()
	}
	return errors.Join(errs...)
}

// Suspend makes all replicas handle no messages for so long.
func (i *Inventory) Suspend(ctx context.Context, d time.Duration) ([]State, error) {
	return i.each(func(c inventoryv1.OperatorServiceClient) (*inventoryv1.ConsumersState, error) {
		answer, err := c.SuspendConsumers(ctx, &inventoryv1.SuspendConsumersRequest{Duration: durationpb.New(d)})
		return answer.GetState(), err
	})
}

// Resume makes all replicas handle messages again.
func (i *Inventory) Resume(ctx context.Context) ([]State, error) {
	return i.each(func(c inventoryv1.OperatorServiceClient) (*inventoryv1.ConsumersState, error) {
		answer, err := c.ResumeConsumers(ctx, &inventoryv1.ResumeConsumersRequest{})
		return answer.GetState(), err
	})
}

// Status asks all replicas how their consumers stand.
func (i *Inventory) Status(ctx context.Context) ([]State, error) {
	return i.each(func(c inventoryv1.OperatorServiceClient) (*inventoryv1.ConsumersState, error) {
		answer, err := c.GetConsumers(ctx, &inventoryv1.GetConsumersRequest{})
		return answer.GetState(), err
	})
}

// each calls all replicas at once. It returns the answers of those that have answered,
// in the order of their addresses, and the errors of the others.
func (i *Inventory) each(call func(inventoryv1.OperatorServiceClient) (*inventoryv1.ConsumersState, error)) ([]State, error) {
	states, errs := make([]State, len(i.conns)), make([]error, len(i.conns))
	var all sync.WaitGroup
	for n, conn := range i.conns {
		all.Go(func() {
			state, err := call(inventoryv1.NewOperatorServiceClient(conn))
			states[n] = State{i.addresses[n], state}
			if err != nil {
				errs[n] = &Error{Address: i.addresses[n], Err: err}
			}
		})
	}
	all.Wait()
	states = slices.DeleteFunc(states, func(s State) bool { return s.ConsumersState == nil })
	return states, errors.Join(errs...)
}

// Error says which replica has failed.
type Error struct {
	Address string
	Err     error
}

// Error names the replica.
func (e *Error) Error() string { return fmt.Sprintf("inventory-srv at %s: %v", e.Address, e.Err) }

// Unwrap returns what the replica has answered.
func (e *Error) Unwrap() error { return e.Err }
