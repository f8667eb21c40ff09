package devbroker

import (
	"encoding/json"

	"orderflow/internal/mq/remoting"
)

// CreateTopic creates a topic, or changes its number of queues and its type, as
// UpdateAndCreateTopic (17) does. messageType is NORMAL, DELAY, TRANSACTION or FIFO; ""
// leaves it open. The error names what cannot be, or wraps ErrClosed.
func (b *Broker) CreateTopic(name string, queues int, messageType string) error {
	ext := answerFields("topic", name, "readQueueNums", queues, "writeQueueNums", queues,
		"perm", remoting.PermRead|remoting.PermWrite, "topicFilterType", "SINGLE_TAG")
	if messageType != "" {
		ext["attributes"] = "+" + remoting.AttributeMessageType + "=" + messageType
	}
	return b.administer(func() error {
		_, err := b.updateTopic(&request{fields: fields{ext: ext}, now: b.now()})
		return err
	})
}

// CreateGroup creates a consumer group with the usual settings, and its retry
// topic. One that is there stays as it is. The error is about the name, or wraps
// ErrClosed.
func (b *Broker) CreateGroup(name string) error {
	config, err := json.Marshal(remoting.NewGroupConfig(name))
	if err != nil {
		return err
	}
	return b.administer(func() error {
		if b.groups[name] != nil {
			return nil
		}
		return b.putGroup(config)
	})
}

// administer does something for a caller within the process, and returns when what
// it has changed is safe.
func (b *Broker) administer(do func() error) error {
	b.lifecycle.Lock() // the journal must not be closed meanwhile
	defer b.lifecycle.Unlock()
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return ErrClosed
	}
	err := do()
	safe := b.writeRecord()
	b.mu.Unlock()
	if err != nil {
		return err
	}
	return b.awaitSafe(safe)
}
