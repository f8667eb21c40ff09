import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.SendStatus;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.client.producer.TransactionSendResult;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;

/** Half messages and what becomes of them. */
final class TransactionScenes {
    private final Target target;

    TransactionScenes(Target target) {
        this.target = target;
    }

    void addTo(Map<String, Check.Scene> scenes) {
        scenes.put("transaction", this::transaction);
    }

    /** Remembers what became of each local transaction; an unknown one is committed by its second check. */
    private static final class Outcomes implements TransactionListener {
        final Map<String, LocalTransactionState> decided = new ConcurrentHashMap<>();
        final Map<String, String> undecidedIds = new ConcurrentHashMap<>();

        @Override
        public LocalTransactionState executeLocalTransaction(Message message, Object argument) {
            decided.put(new String(message.getBody()), (LocalTransactionState) argument);
            return (LocalTransactionState) argument;
        }

        @Override
        public LocalTransactionState checkLocalTransaction(MessageExt message) {
            String body = Inbox.text(message);
            LocalTransactionState state = decided.get(body);
            if (state == LocalTransactionState.UNKNOW) {
                undecidedIds.put(body, message.getTransactionId());
                decided.put(body, LocalTransactionState.COMMIT_MESSAGE);
            }
            return state;
        }
    }

    private String transaction() throws Exception {
        String topic = target.topic("transaction", "TRANSACTION");
        Inbox inbox = target.consume(topic);
        Outcomes outcomes = new Outcomes();
        TransactionMQProducer producer = target.transactionProducer("transactions", outcomes);

        send(producer, topic, "rolled-back", LocalTransactionState.ROLLBACK_MESSAGE);
        SendResult committed = send(producer, topic, "committed", LocalTransactionState.COMMIT_MESSAGE);
        SendResult unknown = send(producer, topic, "unknown", LocalTransactionState.UNKNOW);

        // A check that races a commit delivers a message twice: bodies are counted, not messages.
        Set<String> want = Set.of("committed", "unknown");
        Inbox.eventually("what arrived", () -> new HashSet<>(inbox.bodies()), got -> got.size() >= want.size());
        Check.same(new HashSet<>(inbox.bodies()), want, "what arrived");
        Check.same(outcomes.undecidedIds, Map.of("unknown", unknown.getTransactionId()), "what was checked");
        for (MessageExt got : inbox.all()) {
            SendResult sent = Inbox.text(got).equals("unknown") ? unknown : committed;
            Check.same(got.getMsgId(), sent.getMsgId(), "unique id");
            Check.same(got.getTopic(), topic, "topic");
            Check.same(got.getKeys(), "key-" + Inbox.text(got), "key");
        }
        return unknown.getTransactionId();
    }

    private static SendResult send(
        TransactionMQProducer producer, String topic, String body, LocalTransactionState state) throws Exception {
        Message message = Target.message(topic, body);
        message.setKeys("key-" + body);
        TransactionSendResult result = producer.sendMessageInTransaction(message, state);
        Check.same(result.getSendStatus(), SendStatus.SEND_OK, "status");
        Check.same(result.getLocalTransactionState(), state, "state");
        return result;
    }
}
