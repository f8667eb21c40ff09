import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.rocketmq.client.consumer.DefaultLitePullConsumer;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.MessageSelector;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyContext;
import org.apache.rocketmq.client.consumer.listener.ConsumeOrderlyStatus;
import org.apache.rocketmq.client.producer.selector.SelectMessageQueueByHash;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.remoting.protocol.heartbeat.MessageModel;

/** Every way to consume that succeeds at once. */
final class ConsumerScenes {
    private final Target target;

    ConsumerScenes(Target target) {
        this.target = target;
    }

    void addTo(Map<String, Check.Scene> scenes) {
        scenes.put("rebalance", this::rebalance);
        scenes.put("broadcast", this::broadcast);
        scenes.put("orderly", this::orderly);
        scenes.put("tag-filter", this::tags);
        scenes.put("sql-filter", this::sql);
        scenes.put("lite-pull", this::litePull);
    }

    private String tags() throws Exception {
        String topic = target.topic("tags", "NORMAL");
        Inbox inbox = target.consume(topic, MessageSelector.byTag("red || green"));
        for (String tag : List.of("blue", "red", "green", "blue", "red")) {
            target.producer().send(new Message(topic, tag, tag.getBytes()));
        }
        inbox.await(3);
        Check.same(inbox.bodies(), List.of("green", "red", "red"), "bodies");
        return inbox.bodies().toString();
    }

    private String sql() throws Exception {
        String topic = target.topic("sql", "NORMAL");
        String expression = "amount BETWEEN 10 AND 20 AND TAGS = 'paid' AND coupon IS NULL";
        Inbox inbox = target.consume(topic, MessageSelector.bySql(expression));
        sendOrder(topic, "5", "paid", null);
        sendOrder(topic, "15", "paid", null);
        sendOrder(topic, "16", "open", null);
        sendOrder(topic, "17", "paid", "half");
        sendOrder(topic, "20", "paid", null);
        inbox.await(2);
        Check.same(inbox.bodies(), List.of("15", "20"), "bodies");
        return inbox.bodies().toString();
    }

    private void sendOrder(String topic, String amount, String tag, String coupon) throws Exception {
        Message message = new Message(topic, tag, amount.getBytes());
        message.putUserProperty("amount", amount);
        if (coupon != null) {
            message.putUserProperty("coupon", coupon);
        }
        target.producer().send(message);
    }

    /** Each key's messages come in order, also behind one that was refused once. */
    private String orderly() throws Exception {
        String topic = target.topic("orderly", "FIFO");
        int each = 5;
        for (int i = 0; i < each; i++) {
            for (String key : List.of("a", "b", "c")) {
                target.producer().send(Target.message(topic, key + i), new SelectMessageQueueByHash(), key);
            }
        }
        DefaultMQPushConsumer consumer = target.consumer(target.group("orderly"));
        consumer.subscribe(topic, "*");
        consumer.setSuspendCurrentQueueTimeMillis(100);
        Inbox inbox = new Inbox();
        AtomicBoolean refused = new AtomicBoolean();
        consumer.registerMessageListener((List<MessageExt> messages, ConsumeOrderlyContext context) -> {
            if (Inbox.text(messages.get(0)).equals("b2") && refused.compareAndSet(false, true)) {
                return ConsumeOrderlyStatus.SUSPEND_CURRENT_QUEUE_A_MOMENT;
            }
            inbox.add(messages);
            return ConsumeOrderlyStatus.SUCCESS;
        });
        target.start(consumer);

        Map<String, Integer> next = new HashMap<>();
        for (MessageExt got : inbox.await(3 * each)) {
            String key = Inbox.text(got).substring(0, 1);
            Check.same(Inbox.text(got), key + (next.merge(key, 1, Integer::sum) - 1), "next of key " + key);
        }
        Check.that(refused.get(), "nothing was refused");
        return next.toString();
    }

    /** Two consumers of a group get every message each. */
    private String broadcast() throws Exception {
        String topic = target.topic("broadcast", "NORMAL");
        String group = target.group("broadcast");
        List<Inbox> inboxes = List.of(new Inbox(), new Inbox());
        for (int i = 0; i < inboxes.size(); i++) {
            DefaultMQPushConsumer consumer = target.consumer(group, "broadcast-" + i);
            consumer.setMessageModel(MessageModel.BROADCASTING);
            consumer.subscribe(topic, "*");
            consumer.registerMessageListener(Target.into(inboxes.get(i)));
            target.start(consumer);
        }
        for (String body : List.of("a", "b", "c")) {
            target.producer().send(Target.message(topic, body));
        }
        for (Inbox inbox : inboxes) {
            inbox.await(3);
            Check.same(inbox.bodies(), List.of("a", "b", "c"), "bodies");
        }
        return "2 consumers";
    }

    /** A second consumer takes half of the queues, and gives them back when it ends. */
    private String rebalance() throws Exception {
        String topic = target.topic("rebalance", "NORMAL");
        String group = target.group("rebalance");
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer first = target.consumer(group, "rebalance-1");
        DefaultMQPushConsumer second = target.consumer(group, "rebalance-2");
        for (DefaultMQPushConsumer consumer : List.of(first, second)) {
            consumer.subscribe(topic, "*");
            consumer.registerMessageListener(Target.into(inbox));
        }
        target.start(first);
        awaitQueues(first, topic, Target.QUEUES);
        second.start();
        awaitQueues(first, topic, Target.QUEUES / 2);
        awaitQueues(second, topic, Target.QUEUES / 2);
        second.shutdown();
        awaitQueues(first, topic, Target.QUEUES);
        return "4, 2 + 2, 4 queues";
    }

    private static void awaitQueues(DefaultMQPushConsumer consumer, String topic, long want) throws Exception {
        Inbox.eventually("number of queues of " + consumer.getInstanceName(), () ->
            consumer.getDefaultMQPushConsumerImpl().getRebalanceImpl().getProcessQueueTable().keySet().stream()
                .filter(queue -> queue.getTopic().equals(topic)).count(),
            got -> got == want);
    }

    private String litePull() throws Exception {
        String topic = target.topic("pull", "NORMAL");
        for (String body : List.of("a", "b", "c")) {
            target.producer().send(Target.message(topic, body));
        }
        DefaultLitePullConsumer puller = target.puller(target.group("pull"));
        puller.subscribe(topic, "*");
        puller.start();
        Inbox inbox = new Inbox();
        Inbox.eventually("polled", () -> {
            inbox.add(puller.poll(1000));
            return inbox.all().size();
        }, size -> size == 3);
        Check.same(inbox.bodies(), List.of("a", "b", "c"), "bodies");
        puller.commit();
        long committed = 0;
        Set<MessageQueue> queues = puller.assignment();
        for (MessageQueue queue : queues) {
            committed += Math.max(0, puller.committed(queue));
        }
        Check.same(committed, 3L, "sum of offsets");
        return queues.size() + " queues";
    }
}
