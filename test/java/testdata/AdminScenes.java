import java.util.List;
import java.util.Map;
import org.apache.rocketmq.client.QueryResult;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.common.TopicConfig;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.remoting.protocol.body.CMResult;
import org.apache.rocketmq.remoting.protocol.body.Connection;
import org.apache.rocketmq.remoting.protocol.body.ConsumerConnection;
import org.apache.rocketmq.remoting.protocol.body.ConsumerRunningInfo;
import org.apache.rocketmq.remoting.protocol.route.QueueData;
import org.apache.rocketmq.tools.admin.DefaultMQAdminExt;

/** What is asked of a broker by those who look after it. */
final class AdminScenes {
    private final Target target;
    private final DefaultMQAdminExt admin;

    AdminScenes(Target target) {
        this.target = target;
        this.admin = target.admin();
    }

    void addTo(Map<String, Check.Scene> scenes) {
        scenes.put("admin-topic", this::topic);
        scenes.put("admin-query", this::query);
        scenes.put("admin-consumer", this::consumer);
    }

    private String topic() throws Exception {
        String topic = target.topic("created", "FIFO");
        QueueData queues = admin.examineTopicRouteInfo(topic).getQueueDatas().get(0);
        Check.same(queues.getReadQueueNums(), Target.QUEUES, "read queues");
        Check.same(queues.getWriteQueueNums(), Target.QUEUES, "write queues");
        Check.same(queues.getPerm(), 6, "permissions");
        TopicConfig config = admin.examineTopicConfig(target.broker(), topic);
        Check.same(config.getTopicName(), topic, "name");
        Check.same(config.getTopicMessageType().getValue(), "FIFO", "kind");
        Check.that(admin.fetchAllTopicList().getTopicList().contains(topic), "it is not in the list");
        String cluster = admin.getTopicClusterList(topic).iterator().next();

        admin.deleteTopic(topic, cluster);
        Inbox.eventually("list of topics", () -> admin.fetchAllTopicList().getTopicList().contains(topic), has -> !has);
        return cluster;
    }

    private String query() throws Exception {
        String topic = target.topic("query", "NORMAL");
        // The index rounds times to seconds, downwards.
        long begin = System.currentTimeMillis() - 60_000;
        SendResult first = target.producer().send(new Message(topic, "", "order-1 common", "one".getBytes()));
        target.producer().send(new Message(topic, "", "order-2 common", "two".getBytes()));

        QueryResult both = Inbox.eventually("messages with the key",
            () -> admin.queryMessage(topic, "common", 10, begin, Long.MAX_VALUE),
            result -> result.getMessageList().size() == 2);
        Check.that(both.getIndexLastUpdateTimestamp() >= begin, "index of %d", both.getIndexLastUpdateTimestamp());
        List<MessageExt> one = admin.queryMessage(topic, "order-1", 10, begin, Long.MAX_VALUE).getMessageList();
        Check.same(one.size(), 1, "messages of order-1");
        Check.same(Inbox.text(one.get(0)), "one", "body");
        Check.same(Inbox.text(admin.viewMessage(topic, first.getOffsetMsgId())), "one", "message by offset");
        Check.same(Inbox.text(admin.viewMessage(topic, first.getMsgId())), "one", "message by unique id");
        return first.getMsgId();
    }

    /** A consumer as seen from outside: connection, progress, what it says of itself, its offsets set back. */
    private String consumer() throws Exception {
        String topic = target.topic("seen", "NORMAL");
        String group = target.group("seen");
        Inbox inbox = new Inbox();
        DefaultMQPushConsumer consumer = target.consumer(group);
        consumer.subscribe(topic, "*");
        consumer.registerMessageListener(Target.into(inbox));
        target.start(consumer);
        for (String body : List.of("a", "b")) {
            target.producer().send(Target.message(topic, body));
        }
        inbox.await(2);

        ConsumerConnection connection = admin.examineConsumerConnectionInfo(group);
        Check.same(connection.getSubscriptionTable().get(topic).getSubString(), "*", "subscription");
        Connection client = connection.getConnectionSet().iterator().next();
        consumer.getDefaultMQPushConsumerImpl().persistConsumerOffset();
        Inbox.eventually("lag", () -> admin.examineConsumeStats(group).computeTotalDiff(), lag -> lag == 0);
        ConsumerRunningInfo info = admin.getConsumerRunningInfo(group, client.getClientId(), false);
        Check.same(info.getSubscriptionSet().last().getTopic(), topic, "topic it tells of");
        String first = inbox.all().get(0).getMsgId();
        Check.same(admin.consumeMessageDirectly(group, client.getClientId(), topic, first).getConsumeResult(),
            CMResult.CR_SUCCESS, "consumed directly");
        inbox.await(3);

        admin.resetOffsetByTimestamp(topic, group, 0, true);
        // A consumer learns of it by its next pull: end the ones that wait for messages.
        for (MessageQueue queue : target.producer().fetchPublishMessageQueues(topic)) {
            target.producer().send(Target.message(topic, "wake"), queue);
        }
        Inbox.eventually("deliveries", () -> inbox.bodies().stream().filter(body -> !body.equals("wake")).count(),
            count -> count == 5);
        Connection producer = admin.examineProducerConnectionInfo(target.name("producer"), topic).getConnectionSet()
            .iterator().next();
        Check.same(producer.getClientId(), client.getClientId(), "client of the producer");
        return client.getClientId();
    }
}
